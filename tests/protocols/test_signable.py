"""Whatever edit the page or the API takes can be signed: values are compared as values, however they were written."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput
from protocols.actions.drafts import edit_plan, undo_edit
from protocols.actions.refusals import EditCannotBeSigned, SecondCalculationDisagrees, StaleRevision
from protocols.actions.signing import sign_plan
from protocols.engine.verify import Discrepancy
from protocols.models import Plan
from protocols.pages.disagreements import in_sentences
from protocols.plans import computing
from protocols.plans.computing import verified
from protocols.views.forms import edit_from
from tests import factories
from tests.protocols.worked_cases import count

SAID = {"reason": "tolerance"}


def a_line(plan: Plan) -> str:
    """An active ingredient of the first mixture that can hold 1.3 mL."""
    lines = [line for line in plan.result["syringes"][0]["lines"] if line["role"] != "diluent"]
    return str(next(line["ingredient"] for line in lines if Decimal(line["volume_max_ml"]) >= Decimal("1.3")))


def signed(plan: Plan, by: User) -> Plan:
    return sign_plan(plan=plan, revision=plan.revision, password=factories.PASSWORD, by=by)


@pytest.mark.parametrize("typed", ["1.30", "1,30", "1.3", "01.3", "+1.30"])
def test_a_volume_typed_on_the_page_can_be_signed(typed: str, ready: Plan, ada: User, sign_in) -> None:
    client, key = sign_in(ada), a_line(ready)
    body = {"op": "set_volume", "ingredient": key, "volume_ml": typed, "revision": ready.revision, **SAID}
    assert client.post(f"/plans/{ready.public_id}/edit/", body).status_code == 302
    ready.refresh_from_db()
    assert ready.edits == [{"op": "set_volume", "ingredient": key, "volume_ml": "1.3", **SAID}]
    assert signed(ready, ada).status == "signed"


@pytest.mark.parametrize("sent", ["1.30", 1.3, "1.3000", 1, "1.00"])
def test_a_volume_sent_by_the_api_can_be_signed(sent: Any, ready: Plan, ada: User, sign_in) -> None:
    key = a_line(ready)
    body = {"revision": ready.revision, "edits": [{"op": "set_volume", "ingredient": key, "volume_ml": sent, **SAID}]}
    answer = sign_in(ada).post(f"/api/v1/plans/{ready.public_id}/edits/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["second_calculation"]) == (200, [])
    ready.refresh_from_db()
    assert ready.edits[0]["volume_ml"] == str(Decimal(str(sent)).normalize())
    assert signed(ready, ada).status == "signed"


def test_a_draft_of_before_that_holds_1_30_can_be_signed(ready: Plan, ada: User) -> None:
    key = a_line(ready)
    edit = {"op": "set_volume", "ingredient": key, "volume_ml": "1.3", **SAID}
    edit_plan(plan=ready, revision=ready.revision, edits=[edit], by=ada)
    Plan.objects.filter(pk=ready.pk).update(edits=[edit | {"volume_ml": "1.30"}])
    ready.refresh_from_db()
    assert verified(ready) == []
    assert signed(ready, ada).status == "signed"


SPELLINGS = (
    str,
    lambda n: f"{n:.2f}",
    lambda n: f"{n:.2f}".replace(".", ","),
    lambda n: f"0{n}",
    lambda n: f" +{n:.3f} ",
)
VALUES = (str, float, lambda n: f"{n:.2f}", lambda n: int(n) if n == int(n) else str(n), lambda n: f"0{n:.4f}")


def edits_of(plan: Plan, draw: st.DataObject, spellings: tuple[Any, ...]) -> dict[str, Any]:
    """An edit that might well be refused, of any kind, its volume in one of these spellings."""
    inside = [line["ingredient"] for row in plan.result["syringes"] for line in row["lines"]]
    outside = [row["ingredient"] for row in plan.result["left_out"]]
    op = draw.draw(st.sampled_from(["set_volume"] * 4 + ["remove", "add", "swap", "set_sessions"]))
    if op == "set_sessions":
        return {"op": op, "sessions": draw.draw(st.integers(1, 5))}
    edit = {"op": op, "ingredient": draw.draw(st.sampled_from(outside if op == "add" else inside or outside))}
    if op == "swap":
        edit["with"] = draw.draw(st.sampled_from(outside))
    if op == "set_volume":
        steps = draw.draw(st.integers(1, 40))
        edit["volume_ml"] = draw.draw(st.sampled_from(spellings))(Decimal(steps) * Decimal("0.05"))
    return edit


def as_the_page_sends(edit: dict[str, Any], revision: int) -> dict[str, Any]:
    data = QueryDict(mutable=True)
    data.update({key: str(value) for key, value in edit.items()} | {"revision": str(revision)})
    return edit_from(data)[1]


@pytest.mark.parametrize("way", ["page", "api"])
def test_every_edit_that_is_taken_can_be_signed(way: str, ready: Plan, ada: User) -> None:
    began = {name: copy.deepcopy(getattr(ready, name)) for name in ("case", "proposal", "edits", "result", "revision")}
    taken = [0]

    @settings(max_examples=count(25, 2000), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def edited(draw: st.DataObject) -> None:
        Plan.objects.filter(pk=ready.pk).update(**began)
        ready.refresh_from_db()
        for _turn in range(draw.draw(st.integers(1, 4))):
            edit = edits_of(ready, draw, SPELLINGS if way == "page" else VALUES)
            if way == "page":
                edit = as_the_page_sends(edit, ready.revision)
            try:
                edit_plan(plan=ready, revision=ready.revision, edits=[edit], by=ada)
            except EditCannotBeSigned as refusal:
                raise AssertionError(f"{edit} was taken by the engine and not by the second calculation") from refusal
            except InvalidInput:
                continue
            taken[0] += 1
            assert verified(ready) == []
            assert ready.edits == computing.plain_json(ready.edits)
        while ready.edits:
            undo_edit(plan=ready, revision=ready.revision, by=ada)
            assert verified(ready) == []

    edited()
    assert taken[0] > 10


def disagreeing(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    row = Discrepancy(path=path, code="differs", expected="1", found="2")
    monkeypatch.setattr(computing, "verify", lambda *_given: (row,))


def edited(plan: Plan, by: User) -> str:
    key = a_line(plan)
    edit = {"op": "set_volume", "ingredient": key, "volume_ml": "1.25", **SAID}
    edit_plan(plan=plan, revision=plan.revision, edits=[edit], by=by)
    return key


def test_a_refusal_to_sign_names_the_line_and_offers_to_undo(
    ready: Plan, ada: User, sign_in, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = edited(ready, ada)
    name = next(line["name"] for line in ready.result["syringes"][0]["lines"] if line["ingredient"] == key)
    disagreeing(monkeypatch, f"syringes[0].{key}.dose")

    with pytest.raises(SecondCalculationDisagrees, match=f"about {name} in mixture A, so the plan cannot be signed"):
        signed(ready, ada)
    client: Client = sign_in(ada)
    body = {"revision": ready.revision, "password": factories.PASSWORD}
    answer = client.post(f"/plans/{ready.public_id}/sign/", body)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert f"Undo the last edit: {name} set to 1.25 mL" in page
    assert page.count('id="undo-refused"') == 1
    assert "syringes[0]" not in page  # where it stands in the answer is for the API

    undone = client.post(f"/plans/{ready.public_id}/undo/", {"revision": ready.revision})
    assert undone.status_code == 302
    ready.refresh_from_db()
    assert (ready.edits, ready.status) == ([], "draft")


def test_a_refusal_names_each_line_once_and_the_fingerprint_only_alone(ready: Plan, ada: User) -> None:
    key = edited(ready, ada)
    named = [
        computing.Disagreement(path=path, ingredient=key, mixture="A", detail="") for path in ("a.dose", "a.max_dose")
    ]
    whole = computing.Disagreement(path="fingerprint", detail="")
    assert len(in_sentences(ready, [*named, whole])) == 1
    assert "about the plan as a whole" in in_sentences(ready, [whole])[0]


def test_a_refusal_without_an_edit_offers_nothing_to_undo(
    ready: Plan, ada: User, sign_in, monkeypatch: pytest.MonkeyPatch
) -> None:
    disagreeing(monkeypatch, "cost.total")
    body = {"revision": ready.revision, "password": factories.PASSWORD}
    page = sign_in(ada).post(f"/plans/{ready.public_id}/sign/", body).content.decode()
    assert "does not agree with the first about the price" in page
    assert "undo-refused" not in page


def test_the_api_names_the_line_and_takes_the_last_edit_back(
    ready: Plan, ada: User, sign_in, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = edited(ready, ada)
    disagreeing(monkeypatch, f"syringes[0].{key}.dose")
    client, path = sign_in(ada), f"/api/v1/plans/{ready.public_id}/"
    found = client.get(path).json()["second_calculation"]
    assert [(row["path"], row["ingredient"], row["mixture"]) for row in found] == [
        (f"syringes[0].{key}.dose", key, "A")
    ]

    late = client.post(f"{path}undo-edit/", {"revision": ready.revision - 1}, content_type="application/json")
    assert (late.status_code, late.json()) == (409, {"detail": [str(StaleRevision())]})
    done = client.post(f"{path}undo-edit/", {"revision": ready.revision}, content_type="application/json")
    assert (done.status_code, done.json()["edits"], done.json()["second_calculation"]) == (200, [], [])


def test_an_edit_that_the_second_calculation_does_not_follow_is_refused_beside_its_line(
    ready: Plan, ada: User, sign_in, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, client, real = a_line(ready), sign_in(ada), computing.verify
    row = Discrepancy(path=f"syringes[0].{key}.dose", code="differs", expected="1", found="2")
    monkeypatch.setattr(computing, "verify", lambda result, *rest: (row,) if result["edits"] else real(result, *rest))
    body = {"op": "set_volume", "ingredient": key, "volume_ml": "1,25", "revision": ready.revision, **SAID}
    answer = client.post(f"/plans/{ready.public_id}/edit/", body)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "Nothing was changed. Choose another volume or ingredient." in page
    sent = {"revision": ready.revision, "edits": [{"op": "set_volume", "ingredient": key, "volume_ml": "1.25"}]}
    answer = client.post(f"/api/v1/plans/{ready.public_id}/edits/", sent, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["second_calculation"][0]["ingredient"] == key
    ready.refresh_from_db()
    assert ready.edits == []
