from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput
from mesoclinic.core.sorting import by_words
from patients.actions.intake import save_intake, start_intake, submit_intake
from patients.intake.answers import UNKNOWN
from patients.intake.medicines import ASK, KNOWN, classes_of, medicine_names, read_medicines
from patients.intake.medicines import UNKNOWN as NOT_KNOWN
from patients.models import Intake, IntakeStatus, Patient
from patients.record.strip import patient_strip
from patients.search.keys import fold
from patients.statements.recording import words_of_intake
from patients.vocabulary import load_vocabulary, read_yaml

NOTHING: dict[str, Any] = {"concerns": [], "zones": [], "note": ""}


@pytest.fixture
def draft(teodor: Patient, ada: User) -> Intake:
    return start_intake(patient=teodor, by=ada)


@pytest.mark.parametrize(
    ("line", "state", "classes"),
    [
        ("Aspirin 100 mg", KNOWN, ["antiplatelet_single"]),
        ("b01af02", KNOWN, ["doac"]),
        ("L01BA01", KNOWN, ["methotrexate"]),  # not chemotherapy
        ("L01XA01", KNOWN, ["chemotherapy"]),
        ("methotrexate", KNOWN, ["immunosuppressant", "methotrexate"]),
        ("adalimumab", KNOWN, ["immunosuppressant", "biologic"]),
        ("Minoxidil 5 % lotion", KNOWN, ["minoxidil_topical"]),
        ("minoxidil tablets 2.5 mg", KNOWN, ["antihypertensive", "minoxidil_oral"]),
        ("minoxidil", ASK, []),
        ("levodopa with carbidopa", KNOWN, []),
        ("N04BA01", KNOWN, ["levodopa_alone"]),
        ("paracetamol", KNOWN, []),
        ("vitamin D, 1 a day", KNOWN, []),
        ("warfarinn", ASK, []),
        ("Aspirine 100 mg", KNOWN, ["antiplatelet_single"]),  # in French
        ("ácido acetilsalicílico 100 mg", KNOWN, ["antiplatelet_single"]),  # in Spanish
        ("minoxidil comprimés", KNOWN, ["antihypertensive", "minoxidil_oral"]),
        ("ciclosporina", KNOWN, ["immunosuppressant"]),
        ("something from the market", NOT_KNOWN, []),
    ],
)
def test_medicine_maps_to_classes(line: str, state: str, classes: list[str]) -> None:
    [named] = read_medicines(line)
    assert (named.text, named.state, classes_of([named])) == (line, state, classes)


def test_two_antiplatelet_medicines_are_two_together() -> None:
    assert classes_of(read_medicines("aspirin\nclopidogrel")) == ["antiplatelet_dual"]
    assert classes_of(read_medicines("aspirin 75 mg\nAspirin in the evening")) == ["antiplatelet_single"]
    assert classes_of(read_medicines("aspirin 75 mg\nB01AC06")) == ["antiplatelet_single"]


def test_a_code_says_as_much_as_the_name() -> None:
    [by_name], [by_code] = read_medicines("valproate"), read_medicines("N03AG01")
    assert (by_code.spoken, by_code.classes) == (by_name.spoken, by_name.classes)


def test_every_class_with_a_code_is_found_by_a_name() -> None:
    named = set(classes_of(read_medicines("\n".join(name for name, _atc in medicine_names())))) | {
        "antiplatelet_single",
        "levodopa_alone",
    }
    wanted = {entry.value for entry in load_vocabulary().medicine_classes}
    assert wanted - named == {"biotin_high_dose"}  # how much decides
    assert len(medicine_names()) >= 150


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_every_name_offered_is_read_as_that_medicine(language: str) -> None:
    with translation.override(language):
        offered = medicine_names()
        assert [name for name, _atc in offered] == sorted((name for name, _atc in offered), key=by_words)
        for name, atc in offered:
            [read] = read_medicines(name)
            assert (read.spoken, read.atc) in ((name, atc), (name, "")), name


def test_a_name_means_one_medicine_in_every_language() -> None:
    entries = read_yaml(Path("patients/vocabulary/medicines.yaml"))["medicines"]
    meant: dict[str, set[str]] = {}
    for language in ("en", "fr", "es"):
        with translation.override(language):
            for entry in entries:
                for name in (entry["name"], *entry.get("names", ())):
                    meant.setdefault(fold(gettext(name)), set()).add(entry["name"])
    assert {name: medicines for name, medicines in meant.items() if len(medicines) > 1} == {}


def test_names_are_offered_and_shown_in_the_readers_language(sign_in: Any, draft: Intake, ada: User) -> None:
    ada.language = "fr"
    ada.save()
    page = sign_in(ada).get(reverse("patients:intake_edit", args=[draft.public_id])).content.decode()
    assert '<option value="ibuprofène">M01AE01</option>' in page
    read = sign_in(ada).post(reverse("patients:medicines"), {"medicine_more": "acetylsalicylic acid"}).content.decode()
    assert ">aspirine <" in read
    assert 'lang="en">aspirin<' in read  # translation to be reviewed, with its English


def test_what_is_still_in_the_finding_field_is_saved_as_a_line(sign_in: Any, draft: Intake, ada: User) -> None:
    url = reverse("patients:intake_edit", args=[draft.public_id])
    typed = {"revision": "0", "parts": "1", "medicines": "moon dust", "medicine_more": "aspirine 100 mg"}
    sign_in(ada).post(url, typed)
    draft.refresh_from_db()
    assert [entry["text"] for entry in draft.medicines] == ["moon dust", "aspirine 100 mg"]
    assert draft.facts["medications"] == ["antiplatelet_single"]


@pytest.mark.parametrize("fact", ["conditions", "medications"])
def test_groups_hold_every_value_once(fact: str) -> None:
    values = [value for part in load_vocabulary().facts[fact].parts for value in part.values]
    assert sorted(values) == sorted(choice.key for choice in load_vocabulary().facts[fact].values)


def test_medicines_named_set_their_classes_and_unknown_ones_are_flagged(draft: Intake, ada: User) -> None:
    save_intake(
        intake=draft, revision=0, by=ada, facts={"medications": ["nitrate"]},
        medicines="aspirin 100 mg\nmoon dust", other_allergies="Nickel: rash", **NOTHING,
    )  # fmt: skip

    assert draft.facts["medications"] == ["antiplatelet_single", "nitrate"]
    assert [(entry["text"], entry["state"]) for entry in draft.medicines] == [
        ("aspirin 100 mg", KNOWN),
        ("moon dust", NOT_KNOWN),
    ]
    assert [(said.kind, said.text) for said in words_of_intake(draft)] == [
        ("medicine", "moon dust"),
        ("allergy", "Nickel: rash"),
    ]


def test_medicines_against_none_of_these_is_refused(draft: Intake, ada: User) -> None:
    with pytest.raises(InvalidInput, match="names aspirin"):
        save_intake(intake=draft, revision=0, by=ada, facts={"medications": []}, medicines="aspirin", **NOTHING)


def test_strip_shows_other_allergies_and_never_none_beside_them(teodor: Patient, draft: Intake, ada: User) -> None:
    save_intake(
        intake=draft, revision=0, by=ada, note="", other_allergies="Nickel",
        facts={"allergies": [], "allergy_ingredients": []},
        concerns=[{"concern": "diffuse_thinning", "severity": "mild"}],
        zones=[{"zone": "vertex"}],
    )  # fmt: skip
    submit_intake(intake=draft, by=ada)

    assert [chip.text for chip in patient_strip(teodor).chips] == ["Not settled: “Nickel”", "In words: Nickel"]


# ------------------------------------------------------------------ long lists, part by part


def parts(fact: str, **said: str) -> dict[str, str]:
    return {f"part-{fact}-{key}": answer for key, answer in said.items()}


ALL_NONE = {part.key: "none" for part in load_vocabulary().facts["conditions"].parts}


@pytest.mark.parametrize(
    ("said", "ticked", "stored"),
    [
        (ALL_NONE, [], []),
        (ALL_NONE | {"heart": "unknown"}, [], UNKNOWN),
        ({key: said for key, said in ALL_NONE.items() if key != "heart"}, [], None),
        ({}, ["asthma"], ["asthma"]),
        ({key: said for key, said in ALL_NONE.items() if key != "immune"}, ["asthma"], ["asthma"]),
        ({}, [], None),
        ({}, ["(none)"], []),
        (ALL_NONE, ["(none)"], []),
        ({}, ["(unknown)"], UNKNOWN),
    ],
)
def test_list_in_parts_is_answered_once_every_part_is(
    sign_in: Any, draft: Intake, ada: User, said: dict[str, str], ticked: list[str], stored: Any
) -> None:
    client = sign_in(ada)
    url = reverse("patients:intake_edit", args=[draft.public_id])
    typed = {"revision": "0", "parts": "1", "fact-conditions": ticked, **parts("conditions", **said)}

    assert client.post(url, typed).status_code == 302
    draft.refresh_from_db()
    assert draft.facts.get("conditions") == stored
    page = client.get(url).content.decode()
    for key, answer in said.items():
        assert f'name="part-conditions-{key}" value="{answer}" data-part-answer checked' in page


def test_part_with_a_tick_and_a_no_is_refused(sign_in: Any, draft: Intake, ada: User) -> None:
    url = reverse("patients:intake_edit", args=[draft.public_id])
    response = sign_in(ada).post(
        url, {"revision": "0", "parts": "1", "fact-conditions": ["asthma"], "part-conditions-immune": "none"}
    )
    assert response.status_code == 422
    assert "Immune system and infections: something is ticked" in response.content.decode()


def test_submit_waits_for_every_part_of_a_ticked_list(sign_in: Any, draft: Intake, ada: User) -> None:
    client = sign_in(ada)
    url = reverse("patients:intake_edit", args=[draft.public_id])
    review = reverse("patients:intake_review", args=[draft.public_id])
    chosen = {"parts": "1", "concern-diffuse_thinning": "mild", "zone-vertex": "on", "area-vertex": "80"}
    client.post(url, chosen | {"revision": "0", "fact-conditions": ["asthma"]})

    refused = client.post(review, {"revision": "1"})
    assert refused.status_code == 422
    assert "Heart and circulation" in refused.content.decode()
    rest = parts("conditions", **{key: "none" for key in ALL_NONE if key != "immune"})
    client.post(url, chosen | {"revision": "1", "fact-conditions": ["asthma"], **rest})
    assert client.post(review, {"revision": "1"}).status_code == 409  # the answers are not those that were read
    assert client.post(review, {"revision": "2"}).url == reverse("patients:intake_detail", args=[draft.public_id])
    draft.refresh_from_db()
    assert draft.status == IntakeStatus.SUBMITTED


def test_details_are_kept_and_shown(sign_in: Any, draft: Intake, ada: User) -> None:
    client = sign_in(ada)
    url = reverse("patients:intake_edit", args=[draft.public_id])
    client.post(
        url,
        {"revision": "0", "parts": "1", "fact-conditions": ["asthma"], "detail-conditions-asthma": "inhaler <b>"},
    )
    draft.refresh_from_db()
    assert draft.details == {"conditions": {"asthma": "inhaler <b>"}}
    assert (
        "Asthma: inhaler &lt;b&gt;"
        in client.get(reverse("patients:intake_review", args=[draft.public_id])).content.decode()
    )


def test_page_without_the_new_fields_erases_nothing(sign_in: Any, draft: Intake, ada: User) -> None:
    save_intake(intake=draft, revision=0, by=ada, facts={}, medicines="aspirin", other_allergies="Nickel", **NOTHING)
    sign_in(ada).post(reverse("patients:intake_edit", args=[draft.public_id]), {"revision": "1", "fact-smoker": "no"})

    draft.refresh_from_db()
    assert (draft.other_allergies, len(draft.medicines), draft.facts["smoker"]) == ("Nickel", 1, False)


def test_filling_in_goes_on_at_the_step_where_it_was_left(sign_in: Any, draft: Intake, ada: User) -> None:
    client = sign_in(ada)
    url = reverse("patients:intake_edit", args=[draft.public_id])
    response = client.post(url, {"revision": "0", "parts": "1", "step": "health", "do": "to:medicines"})

    assert response.url == f"{url}?step=medicines"
    assert client.get(url).context["now"] == "health"
    assert client.get(response.url).context["now"] == "medicines"
    assert client.get(f"{url}?step=<x>").context["now"] == "identity"


def test_usual_zones_are_chosen_without_script(sign_in: Any, draft: Intake, ada: User) -> None:
    url = reverse("patients:intake_edit", args=[draft.public_id])
    sign_in(ada).post(url, {"revision": "0", "parts": "1", "do": "pattern:norwood_III_vertex"})

    draft.refresh_from_db()
    assert [entry["zone"] for entry in draft.zones] == ["vertex", "temporal_left", "temporal_right"]
