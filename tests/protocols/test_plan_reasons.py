"""Why an edit was made: asked for each, kept with the plan, shown beside it, on page, print, API and in a version."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput
from protocols.actions.drafts import amend_plan, edit_plan, explain_edit
from protocols.actions.refusals import NotReadyToSign, StaleRevision
from protocols.actions.signing import sign_plan
from protocols.actions.status import discard_plan
from protocols.models import Plan
from protocols.pages.plan import Reader
from protocols.plans import queries
from protocols.plans.computing import merged, recompute, verified
from protocols.plans.queries import obstacles_to_signing, unexplained_edits
from protocols.plans.signature import signature_holds
from protocols.prints.documents import request_plan_pdf
from tests import factories
from tests.factories_protocols import settled

HTMX = {"HX-Request": "true"}
SWAP = {"op": "swap", "ingredient": "pdrn", "with": "hyaluronic_acid"}
REMOVE = {"op": "remove", "ingredient": "pdrn"}
ADD = {"op": "add", "ingredient": "pyridoxine"}
FEWER = {"op": "set_sessions", "sessions": 3}
UNSAID = "1 edit by hand has no reason yet: say why."


def url(plan: Plan, name: str = "plan", query: str = "") -> str:
    return reverse(f"protocols:{name}", args=[plan.public_id]) + query


def send(client, plan: Plan, edits: Any, **more: Any):
    body = json.dumps({"revision": plan.revision, "edits": edits} | more)
    return client.post(f"/api/v1/plans/{plan.public_id}/edits/", body, content_type="application/json")


# ------------------------------------------------------------------ actions


@pytest.mark.parametrize("edit", [SWAP, REMOVE, ADD, FEWER], ids=lambda edit: edit["op"])
def test_each_edit_needs_a_reason_before_signing(ready: Plan, ada: User, edit: dict[str, Any]) -> None:
    edit_plan(plan=ready, revision=ready.revision, edits=[edit], by=ada)
    ready = settled(ready, by=ada)
    assert obstacles_to_signing(ready) == [UNSAID]
    with pytest.raises(NotReadyToSign, match="say why"):
        sign_plan(plan=ready, revision=ready.revision, password=factories.PASSWORD, by=ada)
    result = ready.result

    explain_edit(plan=ready, revision=ready.revision, edit=edit, reason="availability", note=" On  order ", by=ada)
    assert ready.edits == [edit | {"reason": "availability", "note": "On order"}]
    assert (ready.result, obstacles_to_signing(ready)) == (result, [])
    assert AuditEvent.objects.get(action="plan.edit_explained").details["reason"] == "availability"
    sign_plan(plan=ready, revision=ready.revision, password=factories.PASSWORD, by=ada)
    assert signature_holds(ready) and verified(ready) == []
    assert [row.result["fingerprint"] for row in recompute(ready)] == [ready.result["fingerprint"]]


def test_the_proposed_number_of_sessions_needs_no_reason(draft: Plan, ada: User) -> None:
    proposed = draft.proposal["course"]["sessions"]
    edit_plan(plan=draft, revision=0, edits=[{"op": "set_sessions", "sessions": proposed}], by=ada)
    assert unexplained_edits(draft) == []
    edit_plan(plan=draft, revision=1, edits=[{"op": "set_sessions", "sessions": proposed - 1}], by=ada)
    assert len(unexplained_edits(draft)) == 1


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"reason": "because"}, "reason"),
    ({"reason": ["other"]}, "reason"),
    ({"reason": 7}, "reason"),
    ({"note": "no code"}, "reason"),
    ({"reason": "other"}, "note"),
    ({"reason": "other", "note": "  "}, "note"),
    ({"reason": "other", "note": {"a": 1}}, "note"),
    ({"reason": "tolerance", "note": "x" * 501}, "note"),
    ({"reason": "tolerance", "note": "a\x00b"}, "note"),
    ({"reason": "tolerance", "note": "a\ud800b"}, "note"),
]


@pytest.mark.parametrize(("said", "field"), UNFIT, ids=range(len(UNFIT)))
def test_an_unfit_reason_changes_nothing_and_names_its_field(
    draft: Plan, ada: User, said: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        edit_plan(plan=draft, revision=0, edits=[ADD | {"reason": "tolerance"}, SWAP | said], by=ada)
    assert refused.value.field == f"edits[1].{field}"
    draft.refresh_from_db()
    assert (draft.edits, draft.revision) == ([], 0)


def test_a_reason_can_be_changed_only_on_what_is_there(draft: Plan, ada: User) -> None:
    edit_plan(plan=draft, revision=0, edits=[SWAP | {"reason": "experience"}], by=ada)
    explain_edit(plan=draft, revision=1, edit=SWAP, reason="other", note="Asked for it", by=ada)
    assert draft.edits == [SWAP | {"reason": "other", "note": "Asked for it"}]
    with pytest.raises(StaleRevision):
        explain_edit(plan=draft, revision=1, edit=SWAP, reason="tolerance", note="", by=ada)
    with pytest.raises(InvalidInput, match="not in the draft any more"):
        explain_edit(plan=draft, revision=2, edit=REMOVE, reason="tolerance", note="", by=ada)


def test_a_swap_back_leaves_nothing_to_explain(draft: Plan, ada: User) -> None:
    edit_plan(plan=draft, revision=0, edits=[SWAP | {"reason": "experience"}], by=ada)
    back = {"op": "swap", "ingredient": "hyaluronic_acid", "with": "pdrn"}
    edit_plan(plan=draft, revision=1, edits=[back], by=ada)
    assert (draft.edits, draft.result) == ([], draft.proposal)


def test_only_the_swap_that_is_taken_back_goes() -> None:
    a_b, b_c = {"op": "swap", "ingredient": "a", "with": "b"}, {"op": "swap", "ingredient": "b", "with": "c"}
    c_b = {"op": "swap", "ingredient": "c", "with": "b"}
    assert merged([a_b | {"reason": "x"}, b_c], [c_b]) == [a_b | {"reason": "x"}]
    assert merged([a_b], [b_c]) == [a_b, b_c]


# ------------------------------------------------------------------ the plan page


def test_the_reason_is_asked_and_shown_beside_the_edit(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    edit_plan(plan=draft, revision=0, edits=[SWAP, FEWER, REMOVE | {"ingredient": "biochanin_a"}], by=ada)
    text = client.get(url(draft)).content.decode()
    assert text.count("Say why before you sign:") == 3
    line = text.split('id="line-hyaluronic_acid"')[1].split("</li>")[0]
    assert "By hand: Hyaluronic acid" in line and 'name="with" value="hyaluronic_acid"' in line
    assert "3 edits by hand have no reason yet: say why." in text

    said = {"revision": draft.revision, "reason": "other", "note": "Has it <at home>", **SWAP}
    assert client.post(url(draft, "plan_explain"), said).url == url(draft) + "#cocktail"
    draft.refresh_from_db()
    assert draft.edits[0] == SWAP | {"reason": "other", "note": "Has it <at home>"}
    text = client.get(url(draft)).content.decode()
    assert "Other: Has it &lt;at home&gt;" in text and text.count("Say why before you sign:") == 2
    assert "What the edits change in the proposal" in text


@pytest.mark.parametrize("edit", [SWAP, FEWER, REMOVE], ids=lambda edit: edit["op"])
def test_a_reason_without_its_words_is_refused_beside_the_note(
    draft: Plan, ada: User, sign_in, edit: dict[str, Any]
) -> None:
    edit_plan(plan=draft, revision=0, edits=[edit], by=ada)
    answer = sign_in(ada).post(url(draft, "plan_explain"), {"revision": 1, "reason": "other", **edit}, headers=HTMX)
    text = answer.content.decode()
    assert answer.status_code == 400
    assert "Say it in a few words." in text and "data-focus-first" in text
    assert 'value="other" aria-pressed="true"' in text
    draft.refresh_from_db()
    assert draft.edits == [edit]


def test_a_volume_takes_a_note_in_the_same_way(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    volume = {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.25"}
    client.post(url(draft, "plan_edit"), {"revision": 0, **volume})
    refused = client.post(url(draft, "plan_edit"), {"revision": 1, "reason": "other", **volume})
    assert refused.status_code == 400 and "Say it in a few words." in refused.content.decode()
    client.post(url(draft, "plan_edit"), {"revision": 1, "reason": "other", "note": "Small <head>", **volume})
    draft.refresh_from_db()
    assert draft.edits == [volume | {"reason": "other", "note": "Small <head>"}]
    assert 'value="Small &lt;head&gt;"' in client.get(url(draft)).content.decode()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"op": "explode", "reason": "other"},
        {**SWAP, "reason": "\x00"},
        {**SWAP, "reason": "tolerance", "note": "\x00"},
        {**SWAP, "with": "x" * 9000, "reason": "tolerance"},
        {"op": "set_sessions", "sessions": "²", "reason": "tolerance"},
    ],
    ids=range(6),
)
def test_a_hostile_reason_is_refused_and_does_not_crash(draft: Plan, ada: User, sign_in, data: dict[str, str]) -> None:
    edit_plan(plan=draft, revision=0, edits=[SWAP], by=ada)
    client = sign_in(ada)
    assert client.post(url(draft, "plan_explain"), {"revision": 1, **data}).status_code == 400
    assert client.post(url(draft, "plan_explain"), {"revision": 0, **SWAP, "reason": "other"}).status_code == 409


# ------------------------------------------------------------------ the panel


def test_the_panel_offers_what_could_take_the_place_and_says_why_not(draft: Plan, ada: User, sign_in) -> None:
    page = sign_in(ada).get(url(draft, "plan_change", "?ingredient=pdrn"), headers=HTMX)
    text = page.content.decode()
    found = page.context["choices"]
    offered = {row["ingredient"]: row["range"] for row in draft.result["left_out"] if row["range"]}
    options = {option.key: option for option in found.options + found.refused}
    assert set(options) == set(offered) and len(found.options) > 1
    for key, option in options.items():
        assert (option.least_ml, option.most_ml) == (offered[key]["volume_min_ml"], offered[key]["volume_max_ml"])
        assert option.served and all(served.grade in "ABCDE" for served in option.served)
    changes = [option.value_change for option in found.options]
    assert changes == sorted(changes, reverse=True)
    assert found.without is not None and found.without.value_change < 0
    named = ", ".join(names for _why, names in found.others)
    why = next(why for why, names in found.others if "Coumarin" in names)
    assert "Coumarin" in named and why.startswith("Screened out: ") and why in text
    assert "<html" not in text and "(PDRN) is removed." in text


def test_what_the_limits_refuse_is_shown_with_the_reason(draft: Plan, ada: User, sign_in) -> None:
    page = sign_in(ada).get(url(draft, "plan_change"), headers=HTMX)
    found = page.context["choices"]
    assert found.without is None
    for option in found.refused:
        assert option.refused in page.content.decode().replace("&#x27;", "'")
        with pytest.raises(InvalidInput):
            edit_plan(plan=draft, revision=0, edits=[{"op": "add", "ingredient": option.key}], by=ada)
    for option in found.options:
        edit_plan(plan=draft, revision=draft.revision, edits=[{"op": "add", "ingredient": option.key}], by=ada)
        edit_plan(plan=draft, revision=draft.revision, edits=[{"op": "remove", "ingredient": option.key}], by=ada)
    assert draft.edits == []


def test_choosing_one_shows_the_difference_and_keeps_nothing(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    chosen = url(draft, "plan_change", "?ingredient=pdrn&look=1&with=hyaluronic_acid")
    text = client.get(chosen, headers=HTMX).content.decode()
    assert "(sodium hyaluronate) is new in the mixture" in text and "(PDRN) is no longer in the mixture." in text
    assert "<form" not in text
    refused = client.get(url(draft, "plan_change", "?ingredient=pdrn&look=1&with=coumarin"), headers=HTMX)
    assert "Refused." in refused.content.decode() and "screened out" in refused.content.decode()
    plain = client.post(url(draft, "plan_change"), {"ingredient": "pdrn", "with": "-", "look": "1", "note": "x<y"})
    text = plain.content.decode()
    assert plain.status_code == 200 and "<html" in text and "(PDRN) is no longer" in text and 'value="x&lt;y"' in text
    draft.refresh_from_db()
    assert (draft.edits, draft.revision) == ([], 0)


@pytest.mark.parametrize(
    ("out", "into", "edit"),
    [("pdrn", "hyaluronic_acid", SWAP), ("pdrn", "-", REMOVE), ("", "pyridoxine", ADD)],
    ids=["swap", "remove", "add"],
)
def test_a_reason_makes_the_change(draft: Plan, ada: User, sign_in, out: str, into: str, edit: dict[str, Any]) -> None:
    said = {"revision": 0, "ingredient": out, "with": into, "reason": "patient_wish", "note": "Asked"}
    done = sign_in(ada).post(url(draft, "plan_change"), said, headers=HTMX)
    draft.refresh_from_db()
    assert draft.edits == [edit | {"reason": "patient_wish", "note": "Asked"}]
    assert (done.status_code, done["HX-Retarget"], done["HX-Reswap"]) == (200, "#plan-panes", "outerMorph")
    assert json.loads(done["HX-Trigger"]) == {"plan-changed": {"line": into}}
    assert 'id="plan-panes" data-revision="1"' in done.content.decode()


WRONG: list[tuple[dict[str, str], str]] = [
    ({"ingredient": "pdrn", "reason": "tolerance"}, "Choose what takes its place."),
    ({"ingredient": "", "reason": "tolerance"}, "Choose an ingredient."),
    ({"ingredient": "pdrn", "with": "hyaluronic_acid"}, "Choose a reason."),
    ({"ingredient": "pdrn", "with": "hyaluronic_acid", "reason": "other"}, "Say it in a few words."),
    ({"ingredient": "pdrn", "with": "hyaluronic_acid", "reason": "\x00"}, "Choose a reason."),
    ({"ingredient": "pdrn", "with": "coumarin", "reason": "tolerance"}, "screened out"),
    ({"ingredient": "pdrn", "with": "\x00<script>", "reason": "tolerance"}, "is not a known ingredient"),
    ({"ingredient": "", "with": "-", "reason": "tolerance"}, "is not a known ingredient"),
    ({"ingredient": "pdrn", "with": "biochanin_a", "reason": "tolerance"}, "in the mixture already"),
]


@pytest.mark.parametrize(("data", "words"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_choice_stays_in_the_panel_with_what_was_typed(
    draft: Plan, ada: User, sign_in, data: dict[str, str], words: str
) -> None:
    answer = sign_in(ada).post(
        url(draft, "plan_change"),
        {"revision": 0, "note": "\u202eHer <b>wish</b>" if "other" not in data.values() else "", **data},
    )
    text = answer.content.decode()
    assert answer.status_code == 400 and words in text
    if "other" not in data.values():
        assert "Her &lt;b&gt;wish&lt;/b&gt;" in text
    if data.get("with") == "hyaluronic_acid":
        assert 'value="hyaluronic_acid" checked' in text
    draft.refresh_from_db()
    assert draft.edits == []


def test_a_panel_that_is_behind_overwrites_nothing(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    edit_plan(plan=draft, revision=0, edits=[ADD], by=ada)
    said = {"revision": 0, "ingredient": "pdrn", "with": "hyaluronic_acid", "reason": "patient_wish"}
    answer = client.post(url(draft, "plan_change"), said, headers=HTMX)
    text = answer.content.decode()
    assert (answer.status_code, answer["HX-Retarget"]) == (409, "#plan-panes")
    assert 'id="conflict"' in text and 'name="reason" value="patient_wish"' in text
    edit_plan(plan=draft, revision=1, edits=[REMOVE], by=ada)
    gone = client.get(url(draft, "plan_change", "?ingredient=pdrn"))
    assert gone.status_code == 409 and "not in the mixture any more" in gone.content.decode()
    discard_plan(plan=draft, by=ada)
    assert client.get(url(draft, "plan_change")).status_code == 409


@pytest.mark.parametrize(("who", "status"), [("ben", 403), ("dora", 403), ("cleo", 403), ("dan", 404)])
def test_the_panel_and_the_reason_are_for_who_may_change_the_draft(
    request: pytest.FixtureRequest, draft: Plan, sign_in, who: str, status: int
) -> None:
    client = sign_in(request.getfixturevalue(who))
    assert client.get(url(draft, "plan_change")).status_code == status
    assert client.post(url(draft, "plan_change"), {}).status_code == status
    assert client.post(url(draft, "plan_explain"), {}).status_code == status
    assert send(client, draft, [SWAP]).status_code == status


def test_the_panel_costs_the_same_whatever_is_left_out(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    client.get(url(draft, "plan_change"))
    with CaptureQueriesContext(connection) as asked:
        client.get(url(draft, "plan_change", "?ingredient=pdrn"))
    with CaptureQueriesContext(connection) as plan_page:
        client.get(url(draft))
    assert len(asked) < len(plan_page)


# ------------------------------------------------------------------ plans from before, versions, prints


def test_a_plan_signed_before_reasons_were_asked_reads_and_verifies(
    ready: Plan, ada: User, sign_in, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_plan(plan=ready, revision=ready.revision, edits=[SWAP, FEWER], by=ada)
    plan = settled(ready, by=ada)
    with monkeypatch.context() as before:
        before.setattr(queries, "unexplained_edits", lambda _plan: [])
        sign_plan(plan=plan, revision=plan.revision, password=factories.PASSWORD, by=ada)
    assert signature_holds(plan) and verified(plan) == []
    client = sign_in(ada)
    text = client.get(url(plan)).content.decode()
    assert "no reason recorded" in text and "Say why before you sign" not in text
    assert [row["why"] for row in request_plan_pdf(plan=plan, kind="plan_record", by=ada).context["edits"]] == [
        "no reason recorded"
    ] * 2
    assert client.get(f"/api/v1/plans/{plan.public_id}/").json()["edits"] == [SWAP, FEWER]

    amended = settled(amend_plan(plan=plan, by=ada), by=ada)  # what is carried on has to say why by now
    assert obstacles_to_signing(amended) == ["2 edits by hand have no reason yet: say why."]


def test_a_reason_that_this_release_does_not_know_is_shown_as_it_is(draft: Plan, ada: User, sign_in) -> None:
    edit_plan(plan=draft, revision=0, edits=[SWAP], by=ada)
    Plan.objects.filter(pk=draft.pk).update(edits=[SWAP | {"reason": "hunch"}])
    assert "hunch" in sign_in(ada).get(url(draft)).content.decode()


def test_a_version_says_what_was_done_by_hand_and_why(signed: Plan, ada: User, sign_in) -> None:
    plan = amend_plan(plan=signed, by=ada)
    edit_plan(plan=plan, revision=0, edits=[SWAP | {"reason": "other", "note": "Asked"}, ADD], by=ada)
    told, name = Reader(plan).edit_changes(signed), Reader(plan).contents.name
    assert told == [
        f"By hand: {name('hyaluronic_acid')} for {name('pdrn')} (Other: Asked).",
        f"By hand: {name('pyridoxine')} added (no reason recorded).",
    ]
    page = sign_in(ada).get(url(plan))
    assert page.context["differences"][-2:] == told
    assert Reader(signed).edit_changes(plan)[-1].startswith("No longer by hand: ")


# ------------------------------------------------------------------ API


def test_edits_over_the_api_carry_their_reason(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    answer = send(client, draft, [SWAP | {"reason": "other", "note": "Asked"}, FEWER])
    said = answer.json()
    assert (answer.status_code, said["revision"]) == (200, 1)
    assert said["edits"] == [SWAP | {"reason": "other", "note": "Asked"}, FEWER]
    assert UNSAID in said["obstacles"]
    assert send(client, draft, [ADD]).status_code == 409  # an older revision


def test_a_refused_edit_over_the_api_names_its_field(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    edit_plan(plan=draft, revision=0, edits=[ADD], by=ada)
    far = {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "99"}
    assert list(send(client, draft, [SWAP, far]).json()) == ["edits[1].volume_ml"]
    assert list(send(client, draft, [SWAP | {"with": "coumarin"}]).json()) == ["edits[0]"]
    assert send(client, draft, [SWAP, ADD | {"reason": "x"}]).json() == {"edits[1].reason": ["Choose a reason."]}
    assert list(send(client, draft, [SWAP | {"reason": "other"}]).json()) == ["edits[0].note"]
    draft.refresh_from_db()
    assert draft.edits == [ADD]


HOSTILE: list[Any] = [
    None, [], {}, "x", [None], ["x"], [[]], [{}], [{"op": ["set_volume"]}], [{"op": {}}], [{"op": "\x00"}],
    [{"op": "set_volume"}], [{"op": "set_volume", "ingredient": None, "volume_ml": None}],
    [{"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": 1e400}],
    [{"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": 1.33}],
    [{"op": "set_volume", "ingredient": ["biochanin_a"], "volume_ml": {"a": []}}],
    [{"op": "swap", "ingredient": "\ud800", "with": "\ud800"}], [{"op": "swap", "ingredient": "pdrn", "with": {}}],
    [SWAP | {"reason": {}}], [SWAP | {"reason": "other", "note": "\ud800"}], [SWAP | {"extra": 1}],
    [{"op": "set_sessions", "sessions": 10**400}], [{"op": "set_sessions", "sessions": True}],
    [{"op": "set_schedule", "schedule": []}], [SWAP] * 200, [{"op": "swap", "\ud800": 1}],
]  # fmt: skip


@pytest.mark.parametrize("edits", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_edits_over_the_api_are_refused(draft: Plan, ada: User, sign_in, edits: Any) -> None:
    answer = send(sign_in(ada), draft, edits)
    assert answer.status_code == 400 and answer.json()
    draft.refresh_from_db()
    assert (draft.edits, draft.revision) == ([], 0)


def test_a_body_that_is_no_edit_is_refused(draft: Plan, ada: User, sign_in) -> None:
    client, path = sign_in(ada), f"/api/v1/plans/{draft.public_id}/edits/"
    for body in ("", "[]", "[" * 50_000, "{", '{"revision": -1, "edits": []}', '{"revision": NaN, "edits": [{}]}'):
        assert client.post(path, body, content_type="application/json").status_code == 400
    assert client.get(path).status_code == 405
    for method in ("put", "patch", "delete"):
        assert getattr(client, method)(path, "{}", content_type="application/json").status_code in (403, 405)
