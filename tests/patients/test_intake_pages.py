from __future__ import annotations

import html
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mesoclinic.accounts.models import User
from patients.actions.intake import save_intake, start_intake
from patients.intake.answers import NEVER, UNKNOWN, asked_facts, intake_vocabulary, vocabulary_for
from patients.intake.forms import IntakeForm
from patients.models import Intake, IntakeStatus, Patient
from patients.vocabulary import load_vocabulary
from tests import factories
from tests.shown import as_typed

CHOSEN = {
    "concern-androgenetic_alopecia": "moderate",
    "concern-poor_scalp_circulation": "mild",
    "zone-vertex": "on",
    "area-vertex": "80",
}


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


@pytest.fixture
def draft(teodor: Patient, ada: User) -> Intake:
    return start_intake(patient=teodor, by=ada)


@pytest.fixture
def post(sign_in: Any, draft: Intake, ada: User):
    client: Client = sign_in(ada)
    url = reverse("patients:intake_edit", args=[draft.public_id])

    def posted(**typed: Any) -> Any:
        given = {"revision": str(draft.revision), "do": "save"} | {k.replace("__", "-"): v for k, v in typed.items()}
        return client.post(url, given)

    return posted


# ------------------------------------------------------------------ what is asked


@pytest.mark.parametrize("sex", ["male", "female"])
def test_intake_form_asks_the_whole_vocabulary(sign_in: Any, ada: User, sex: str) -> None:
    patient = factories.patient(by=ada, sex_at_birth=sex)
    intake = start_intake(patient=patient, by=ada)
    page = sign_in(ada).get(reverse("patients:intake_edit", args=[intake.public_id])).content.decode()

    vocabulary = load_vocabulary()
    other = {"male": "female", "female": "male"}[sex]
    for fact in vocabulary.facts.values():
        asked = f'name="fact-{fact.key}"' in page
        ruled_out = fact.only_if is not None and fact.only_if.value == other
        assert asked == (fact.key not in ("age_years", "sex_at_birth") and not ruled_out), fact.key
        if asked:
            for choice in fact.offered:
                assert f'name="fact-{fact.key}" value="{choice.key}"' in page, choice
    for key in vocabulary.concerns:
        assert page.count(f'name="concern-{key}"') == 4
    for key in vocabulary.zones:
        assert f'name="zone-{key}"' in page
        assert f'name="area-{key}"' in page
    for scale in vocabulary.scales.values():
        drawn = all(stage.description in page for stage in scale.stages)
        assert drawn == (scale.applies_to_sex == sex), scale.key
    assert [page.index(f'id="s-{key}"') for key in vocabulary.sections] == sorted(
        page.index(f'id="s-{key}"') for key in vocabulary.sections
    )


def test_intake_form_offers_the_ingredients_of_the_provider(sign_in: Any, ada: User, draft: Intake) -> None:
    page = sign_in(ada).get(reverse("patients:intake_edit", args=[draft.public_id])).content.decode()

    assert 'name="fact-allergy_ingredients" value="dexpanthenol"' in page


def test_intake_form_prefills_the_planning_areas_and_chooses_no_zone(draft: Intake) -> None:
    form = IntakeForm(intake=draft, vocabulary=intake_vocabulary())

    assert [(row.zone.key, row.area, row.chosen) for row in form.zone_rows()][:2] == [
        ("frontal", "80", False),
        ("mid_scalp", "120", False),
    ]


# ------------------------------------------------------------------ typed, stored, typed again


def test_intake_form_left_alone_answers_nothing(post: Any, draft: Intake) -> None:
    post()

    draft.refresh_from_db()
    assert (draft.facts, draft.concerns, draft.zones, draft.revision) == ({}, [], [], 1)


ANSWERS = [
    ("fact-smoker", "yes", "smoker", True),
    ("fact-smoker", "no", "smoker", False),
    ("fact-smoker", "(unknown)", "smoker", UNKNOWN),
    ("fact-smoker", "", "smoker", None),
    ("fact-allergies", ["(none)"], "allergies", []),
    ("fact-allergies", ["(unknown)"], "allergies", UNKNOWN),
    ("fact-allergies", ["soy", "fish"], "allergies", ["fish", "soy"]),
    ("fact-allergies", [], "allergies", None),
    ("fact-allergy_ingredients", ["pdrn"], "allergy_ingredients", ["pdrn"]),
    ("fact-anaphylaxis_history", "none", "anaphylaxis_history", "none"),
    ("fact-anaphylaxis_history", "(unknown)", "anaphylaxis_history", UNKNOWN),
    ("fact-norwood_stage", "III_vertex", "norwood_stage", "III_vertex"),
    ("fact-bp_systolic", "128", "bp_systolic", 128),
    ("fact-bp_systolic", " ", "bp_systolic", None),
    ("fact-lab_inr", "2,5", "lab_inr", "2.5"),
    ("fact-lab_inr", "2.50", "lab_inr", "2.5"),
    ("fact-lab_platelets", "0", "lab_platelets", "0"),
    ("fact-days_since_prp_scalp", "0", "days_since_prp_scalp", 0),
    ("never-days_since_prp_scalp", "on", "days_since_prp_scalp", NEVER),
]


@pytest.mark.parametrize(("name", "typed", "fact", "stored"), ANSWERS)
def test_intake_form_stores_each_kind_of_answer_and_shows_it_again(
    post: Any, draft: Intake, name: str, typed: Any, fact: str, stored: Any
) -> None:
    assert post(**{name: typed}).status_code == 302

    draft.refresh_from_db()
    assert draft.facts == ({} if stored is None else {fact: stored})
    again = IntakeForm(intake=draft, vocabulary=intake_vocabulary())
    resent = IntakeForm(
        {n: f.value() for n, f in ((f.name, f) for f in again) if f.value() not in (None, False)},
        intake=draft,
        vocabulary=intake_vocabulary(),
    )
    assert resent.is_valid(), resent.errors
    assert resent.facts == draft.facts


def test_sinclair_grade_is_chosen_by_its_stage_and_stored_as_a_number(sign_in: Any, ada: User) -> None:
    patient = factories.patient(by=ada, sex_at_birth="female")
    intake = start_intake(patient=patient, by=ada)
    url = reverse("patients:intake_edit", args=[intake.public_id])
    client = sign_in(ada)

    client.post(url, {"revision": "0", "fact-sinclair_grade": "3"})
    intake.refresh_from_db()
    assert intake.facts == {"sinclair_grade": 3}
    assert 'name="fact-sinclair_grade" value="3" checked' in text_of(client.get(url))
    assert client.post(url, {"revision": "1", "fact-sinclair_grade": "6"}).status_code == 422


BOTH = "Both the list and “none” or “don&#x27;t know” are ticked. Keep one."
WRONG = [
    ("fact-allergies", ["(none)", "fish"], BOTH),
    ("fact-allergies", ["(none)", "(unknown)"], BOTH),
    ("fact-allergies", ["cats"], "Choose one of the answers offered."),
    ("fact-allergy_ingredients", ["unobtainium"], "Choose one of the answers offered."),
    ("fact-smoker", "maybe", "Choose one of the answers offered."),
    ("fact-anaphylaxis_history", "x\x00", "Choose one of the answers offered."),
    ("fact-norwood_stage", "VIII", "Choose one of the answers offered."),
    ("fact-bp_systolic", "39", "It must be between 40 and 320 mmHg."),
    ("fact-bp_systolic", "321", "It must be between 40 and 320 mmHg."),
    ("fact-bp_systolic", "-120", "It must be between 40 and 320 mmHg."),
    ("fact-bp_systolic", "120.5", "Write a whole number."),
    ("fact-bp_systolic", "1e2", "Write a number, for example 24 or 2.5."),
    ("fact-bp_systolic", "١٢٨x", "Write a number, for example 24 or 2.5."),
    ("fact-bp_systolic", "<b>128</b>", "Write a number, for example 24 or 2.5."),
    ("fact-lab_inr", "NaN", "Write a number, for example 24 or 2.5."),
    ("fact-lab_inr", "1.23456", "Write at most four decimal places."),
    ("concern-androgenetic_alopecia", "terrible", "Choose mild, moderate or severe."),
]


@pytest.mark.parametrize(("name", "typed", "sentence"), WRONG)
def test_intake_form_says_what_is_wrong_and_keeps_everything_typed(
    post: Any, draft: Intake, name: str, typed: Any, sentence: str
) -> None:
    other = {"fact-lab_ferritin": "24", "note": "Kept <b>", "zone-frontal": "on", "area-frontal": "62"}
    response = post(**(other | {name: typed}))

    assert response.status_code == 422
    page = text_of(response)
    assert page.count(sentence) == 2  # in the summary and beside the question
    assert f'href="#q-{name}"' in page
    assert f'id="q-{name}"' in page
    assert 'name="fact-lab_ferritin" value="24"' in page
    assert "Kept &lt;b&gt;" in page
    assert 'name="area-frontal" value="62"' in page
    if isinstance(typed, str) and name.startswith("fact-bp"):
        assert f'value="{typed.replace("<", "&lt;").replace(">", "&gt;")}"' in page
    draft.refresh_from_db()
    assert (draft.facts, draft.zones, draft.revision) == (
        {"lab_ferritin": "24"},
        [{"zone": "frontal", "area_cm2": "62"}],
        1,
    )


def test_answer_that_is_none_yet_is_kept_and_marked_until_it_is_mended(
    sign_in: Any, draft: Intake, ada: User, post: Any
) -> None:
    client, url = sign_in(ada), reverse("patients:intake_edit", args=[draft.public_id])
    typed = CHOSEN | {"fact-allergies": ["(none)", "fish"], "fact-smoker": "no", "do": "submit"}

    assert post(**typed).status_code == 422
    draft.refresh_from_db()
    assert (draft.facts, draft.unread) == ({"smoker": False}, {"fact-allergies": ["(none)", "fish"]})
    page = client.get(url)
    assert page.context["form"].errors["fact-allergies"] == [html.unescape(BOTH)]
    assert page.context["form"]["fact-allergies"].value() == ["(none)", "fish"]
    review = client.get(reverse("patients:intake_review", args=[draft.public_id]))
    assert f"{url}?step=" in text_of(review) and '#q-fact-allergies"' in text_of(review)
    refused = client.post(reverse("patients:intake_review", args=[draft.public_id]), {"revision": "1"})
    assert refused.status_code == 422 and "what was typed is no answer yet" in text_of(refused)

    assert post(**(CHOSEN | {"revision": "1", "fact-allergies": ["fish"], "fact-smoker": "no"})).status_code == 302
    draft.refresh_from_db()
    assert (draft.facts["allergies"], draft.unread) == (["fish"], {})
    assert not client.get(url).context["form"].errors


def test_medicines_beside_none_of_these_stop_nothing_else(post: Any, draft: Intake) -> None:
    response = post(**{
        "parts": "1", "medicines": "aspirin 100 mg", "fact-medications": "(none)", "fact-smoker": "no", "note": "Kept",
    })  # fmt: skip

    assert response.status_code == 422
    assert "“None of these” is ticked, and the list names" in text_of(response)
    draft.refresh_from_db()
    assert (draft.facts, draft.note, draft.medicines) == ({"smoker": False}, "Kept", [])
    assert draft.unread == {"medicines": ["aspirin 100 mg"], "fact-medications": ["(none)"]}


@pytest.mark.parametrize(
    ("area", "sentence"),
    [
        ("39", "It must be between 40 and 120 cm²."),
        ("121", "It must be between 40 and 120 cm²."),
        ("", "Write the area in cm²."),
        ("big", "Write a number, for example 24 or 2.5."),
    ],
)
def test_intake_form_checks_the_area_of_a_chosen_zone(post: Any, draft: Intake, area: str, sentence: str) -> None:
    assert sentence in text_of(post(**{"zone-vertex": "on", "area-vertex": area}))
    draft.refresh_from_db()
    assert (draft.zones, draft.unread["zone-vertex"]) == ([], ["on"])

    assert post(**{"area-vertex": area}).status_code == 302  # not chosen: its area means nothing


@pytest.mark.parametrize("area", ["40", "120", "62,5"])
def test_intake_form_takes_an_area_within_its_range(post: Any, draft: Intake, area: str) -> None:
    post(**{"zone-vertex": "on", "area-vertex": area})

    draft.refresh_from_db()
    assert draft.zones == [{"zone": "vertex", "area_cm2": area.replace(",", ".")}]


def test_intake_form_refuses_a_number_together_with_never(post: Any, draft: Intake) -> None:
    response = post(**{"fact-days_since_prp_scalp": "30", "never-days_since_prp_scalp": "on"})

    assert "Both a number and “never” are given. Keep one." in text_of(response)
    draft.refresh_from_db()
    assert (draft.facts, draft.unread) == (
        {},
        {"fact-days_since_prp_scalp": ["30"], "never-days_since_prp_scalp": ["on"]},
    )


def test_intake_form_ignores_what_it_does_not_ask(post: Any, draft: Intake) -> None:
    assert post(**{"fact-ludwig_stage": "II", "fact-age_years": "12", "fact-nonsense": "x"}).status_code == 302
    draft.refresh_from_db()
    assert draft.facts == {}


# ------------------------------------------------------------------ save, submit, two tabs, timed out


def test_intake_page_says_when_it_was_saved(sign_in: Any, ada: User, draft: Intake, post: Any) -> None:
    client = sign_in(ada)
    url = reverse("patients:intake_edit", args=[draft.public_id])
    assert "Not saved yet" in text_of(client.get(url))
    post(**{"fact-smoker": "yes"})

    draft.refresh_from_db()
    assert draft.saved_at is not None
    at = draft.saved_at.astimezone(draft.patient.site.tz)
    assert f"Last saved {at:%H:%M} (Europe/Paris)" in text_of(client.get(url))


def test_intake_submit_saves_and_closes(post: Any, draft: Intake, ada: User) -> None:
    response = post(**(CHOSEN | {"do": "submit", "fact-smoker": "no"}))

    draft.refresh_from_db()
    assert response.url == f"/intakes/{draft.public_id}/"
    assert (draft.status, draft.submitted_by, draft.facts) == (IntakeStatus.SUBMITTED, ada, {"smoker": False})
    assert draft.concerns == [
        {"concern": "poor_scalp_circulation", "severity": "mild"},
        {"concern": "androgenetic_alopecia", "severity": "moderate"},
    ]


@pytest.mark.parametrize(
    ("left_out", "part", "sentence"),
    [
        ("concern", "concerns", "Choose at least one concern with its severity."),
        ("zone", "zones", "Choose at least one zone of the scalp."),
    ],
)
def test_intake_submit_without_concern_or_zone_saves_the_draft_and_says_so(
    post: Any, draft: Intake, left_out: str, part: str, sentence: str
) -> None:
    typed = {name: value for name, value in CHOSEN.items() if not name.startswith(left_out)}
    response = post(**(typed | {"do": "submit", "fact-smoker": "no"}))

    assert response.status_code == 422
    page = text_of(response)
    assert "The draft is saved, but not submitted yet." in page
    assert f'<a href="#s-{part}">{sentence}</a>' in page
    draft.refresh_from_db()
    assert (draft.status, draft.facts, draft.revision) == (IntakeStatus.DRAFT, {"smoker": False}, 1)
    assert 'name="revision" value="1"' in page


def test_intake_second_tab_is_told_and_overwrites_nothing(
    sign_in: Any, draft: Intake, ada: User, ben: User, post: Any
) -> None:
    save_intake(
        intake=Intake.objects.get(pk=draft.pk), revision=0, by=ben, note="",
        facts={"smoker": True, "allergies": ["fish"]}, concerns=[], zones=[],
    )  # fmt: skip

    response = post(**{"fact-smoker": "no", "fact-lab_ferritin": "24"})

    assert response.status_code == 409
    page = text_of(response)
    assert "Ben Okafor changed these details after you opened them." in page
    assert "Nothing was overwritten." in page
    both = response.context["form"].clashes
    assert [(choice.label, choice.theirs, choice.mine) for choice in both] == [
        ("Do you smoke or vape nicotine?", "Yes", "No"),
    ]
    assert 'name="fact-lab_ferritin" value="24"' in page
    draft.refresh_from_db()
    assert (draft.facts, draft.revision) == ({"smoker": True, "allergies": ["fish"]}, 1)

    typed = as_typed(response) | {"fact-smoker": "no", "fact-lab_ferritin": "24"}
    assert post(**typed).status_code == 409  # a second press decides nothing
    assert post(**(typed | {both[0].name: f"mine.{both[0].mark}"})).status_code == 302
    draft.refresh_from_db()
    assert draft.facts == {"smoker": False, "lab_ferritin": "24", "allergies": ["fish"]}


def test_intake_of_two_tabs_keeps_what_each_answered(sign_in: Any, draft: Intake, ada: User, ben: User) -> None:
    url = reverse("patients:intake_edit", args=[draft.public_id])
    mine, theirs = sign_in(ada), sign_in(ben)
    opened = {name: value for name, value in as_typed(mine.get(url)).items() if name in ("revision", "seen", "parts")}

    assert theirs.post(url, opened | {"fact-smoker": "yes", "note": "From Ben"}).status_code == 302
    saved = mine.post(url, opened | {"fact-lab_ferritin": "24"}, headers={"X-Autosave": "1"})
    assert (saved.status_code, saved.json()["revision"]) == (200, 0)  # the page does not show Ben's
    going_on = opened | {"seen": saved.json()["seen"], "fact-lab_ferritin": "25"}
    assert mine.post(url, going_on, headers={"X-Autosave": "1"}).status_code == 200
    draft.refresh_from_db()
    assert (draft.facts, draft.note) == ({"smoker": True, "lab_ferritin": "25"}, "From Ben")


@pytest.mark.parametrize("revision", ["", "x", "-1", "99999999999999999999"])
def test_intake_with_a_revision_that_cannot_be_is_refused(post: Any, draft: Intake, revision: str) -> None:
    response = post(revision=revision, **{"fact-smoker": "no"})

    assert response.status_code in (409, 422)
    assert 'role="alert"' in text_of(response)
    assert response.context["form"].non_field_errors()
    draft.refresh_from_db()
    assert draft.facts == {}


def test_intake_after_a_timed_out_session_leads_back_to_the_draft(
    sign_in: Any, client: Client, draft: Intake, ada: User, post: Any
) -> None:
    post(**{"fact-smoker": "no"})
    url = reverse("patients:intake_edit", args=[draft.public_id])

    response: Any = client.post(url, {"revision": "1", "fact-smoker": "yes"})

    assert response.url == f"/accounts/login/?next={url}"
    assert 'name="fact-smoker" value="no" checked' in text_of(sign_in(ada).get(url))


def test_intake_after_a_restart_and_a_closed_tab_is_as_it_was_left(sign_in: Any, draft: Intake, ada: User) -> None:
    """Saved by itself, then the browser goes and the process with it: the cookie and the database are enough."""
    before = sign_in(ada)
    url = reverse("patients:intake_edit", args=[draft.public_id])
    typed = {"revision": "0", "step": "wishes", "fact-smoker": "yes", "note": "Typed before the power went"}
    assert before.post(url, typed, headers={"X-Autosave": "1"}).status_code == 200
    cache.clear()

    after = Client()
    after.cookies = before.cookies
    page = text_of(after.get(url))

    assert 'name="fact-smoker" value="yes" checked' in page and "Typed before the power went" in page
    assert 'name="revision" value="1"' in page


def test_intake_autosave_when_signed_out_changes_nothing_and_is_no_json(draft: Intake) -> None:
    """The page then keeps what was typed, says so, and goes on once somebody has signed in again."""
    answer = Client().post(
        reverse("patients:intake_edit", args=[draft.public_id]), {"revision": "0"}, headers={"X-Autosave": "1"}
    )
    assert answer.status_code == 302 and "json" not in answer.get("Content-Type", "")


def test_intake_autosave_answers_in_json(sign_in: Any, draft: Intake, ada: User) -> None:
    client = sign_in(ada)
    url = reverse("patients:intake_edit", args=[draft.public_id])

    def quietly(**typed: str) -> Any:
        return client.post(url, {k.replace("__", "-"): v for k, v in typed.items()}, headers={"X-Autosave": "1"})

    saved = quietly(revision="0", fact__smoker="yes", do="submit")
    assert saved.status_code == 200
    assert saved.json()["revision"] == 1
    assert saved.json()["saved"].startswith("Last saved ")
    wrong = quietly(revision="1", fact__bp_systolic="39", fact__smoker="yes")
    assert (wrong.status_code, wrong.json()["errors"], wrong.json()["revision"]) == (
        200,
        {"fact-bp_systolic": ["It must be between 40 and 320 mmHg."]},
        2,
    )
    stale = quietly(revision="0", fact__smoker="no")
    assert stale.status_code == 409
    draft.refresh_from_db()
    assert (draft.status, draft.facts) == (IntakeStatus.DRAFT, {"smoker": True})
    assert draft.unread == {"fact-bp_systolic": ["39"]}


def test_intake_that_was_submitted_is_read_and_never_edited(
    sign_in: Any, teodor: Patient, ada: User, fill: Any
) -> None:
    intake = fill(teodor, by=ada, smoker=True)
    client = sign_in(ada)
    url = reverse("patients:intake_edit", args=[intake.public_id])

    assert client.get(url).url == f"/intakes/{intake.public_id}/"
    refused = client.post(url, {"revision": str(intake.revision), "fact-smoker": "no"})
    assert refused.status_code == 409
    assert "This intake was submitted and cannot change. Start a new one instead." in text_of(refused)
    intake.refresh_from_db()
    assert intake.facts == {"smoker": True}


def test_intake_of_an_ingredient_that_left_the_formulary_still_shows_it(
    sign_in: Any, teodor: Patient, ada: User, fill: Any, settings: Any
) -> None:
    fill(teodor, by=ada, allergy_ingredients=["biotin"])
    settings.INGREDIENT_CHOICES_PROVIDER = "tests.patients.providers.no_ingredients"
    draft = start_intake(patient=teodor, by=ada)

    page = text_of(sign_in(ada).get(reverse("patients:intake_edit", args=[draft.public_id])))
    assert 'name="fact-allergy_ingredients" value="biotin" checked' in page
    assert "biotin" in [choice.key for choice in vocabulary_for(draft).facts["allergy_ingredients"].values]


# ------------------------------------------------------------------ reading


def test_intake_detail_shows_changes_first_and_silence_as_silence(
    sign_in: Any, teodor: Patient, ada: User, fill: Any
) -> None:
    fill(teodor, by=ada, smoker=True, allergies=[])
    second = fill(teodor, by=ada, smoker=False, allergies=[], note="<i>hi</i>")

    page = text_of(sign_in(ada).get(reverse("patients:intake_detail", args=[second.public_id])))

    assert page.index("Changed since intake 1") < page.index('id="h-about_you"')
    assert "<dt>Are you allergic to any of these?</dt><dd>None of these</dd>" in page
    assert "<dt>Do you smoke or vape nicotine?</dt><dd>No</dd>" in page
    assert '<dt>Ferritin</dt><dd class="in-unanswered">Not answered</dd>' in page
    assert "&lt;i&gt;hi&lt;/i&gt;" in page
    asked = len(asked_facts(teodor, load_vocabulary()))
    assert f"{asked - 2} questions not answered" in page


def test_intake_detail_offers_what_the_role_may_do(
    sign_in: Any, teodor: Patient, ada: User, cleo: User, dora: User, fill: Any
) -> None:
    intake = fill(teodor, by=ada)
    url = reverse("patients:intake_detail", args=[intake.public_id])
    plan, new = reverse("protocols:plan_new", args=[teodor.public_id]), f"/patients/{teodor.public_id}/intakes/new/"

    for person, may_plan, may_start in ((ada, True, True), (cleo, False, True), (dora, False, False)):
        page = text_of(sign_in(person).get(url))
        assert (f'action="{plan}"' in page, f'action="{new}"' in page) == (may_plan, may_start)


def test_intake_start_by_page_resumes_the_draft(sign_in: Any, draft: Intake, teodor: Patient, cleo: User) -> None:
    response = sign_in(cleo).post(reverse("patients:intake_start", args=[teodor.public_id]))

    assert response.url == f"/intakes/{draft.public_id}/edit/"
    assert sign_in(cleo).get(reverse("patients:intake_start", args=[teodor.public_id])).status_code == 405


def test_intake_pages_cost_the_same_whatever_was_answered(sign_in: Any, teodor: Patient, ada: User, fill: Any) -> None:
    client = sign_in(ada)

    def cost(intake: Intake) -> int:
        url = reverse("patients:intake_detail", args=[intake.public_id])
        client.get(url)
        with CaptureQueriesContext(connection) as queries:
            client.get(url)
        return len(queries)

    bare = fill(teodor, by=ada)
    full = fill(teodor, by=ada, smoker=True, allergies=["fish"], medications=["nitrate", "doac"], conditions=["asthma"])
    assert cost(bare) == cost(full)


@pytest.mark.parametrize(
    ("typed", "unit", "kept", "said"),
    [
        ("11", "%", "97", ""),
        ("97", "mmol/mol", "97", ""),
        ("6,5", "%", "48", ""),
        ("11", "mmol/mol", None, "11 looks like %: HbA1c 11 % is 97 mmol/mol. Which is it?"),
    ],
)
def test_a_measured_value_comes_with_its_unit_and_keeps_what_was_typed(
    typed: str, unit: str, kept: str | None, said: str, draft: Intake, post
) -> None:
    response = post(**{"fact-lab_hba1c": typed, "unit-lab_hba1c": unit})
    draft.refresh_from_db()
    assert draft.facts.get("lab_hba1c") == kept
    if said:
        page = response.content.decode()
        assert said in page
        assert f'name="fact-lab_hba1c" value="{typed}"' in page
        assert f'value="{unit}" data-factor="1" data-offset="0" selected' in page


def test_the_unit_has_to_be_chosen_where_a_number_does_not_tell_it(draft: Intake, post) -> None:
    page = post(**{"fact-lab_vitamin_d": "30", "unit-lab_vitamin_d": ""}).content.decode()
    assert "Choose the unit: nmol/L, ng/mL." in page
    draft.refresh_from_db()
    assert "lab_vitamin_d" not in draft.facts
