"""Sentences make no difference: plans are compared and signed by codes, parameters and numbers."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import translation

from mesoclinic.accounts.models import User
from protocols import wording
from protocols.actions import acknowledge, edit_plan
from protocols.computing import shown
from protocols.engine.codes import without_sentences
from protocols.management.commands.recompute import differences
from protocols.models import Plan
from protocols.queries import live_acknowledgements, obstacles_to_signing
from protocols.signing import signature, signature_holds, signed_content


def run(*args: str) -> str:
    out = StringIO()
    call_command("recompute", *args, stdout=out)
    return out.getvalue()


def reworded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another release says everything in other words."""
    real = wording._
    monkeypatch.setattr(wording, "_", lambda text: f"» {real(text)}")


def test_a_changed_translation_leaves_plan_and_signature_as_they_were(
    signed: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shown(signed)
    reworded(monkeypatch)

    assert shown(signed)["cautions"][0]["message"] == "» " + before["cautions"][0]["message"]
    assert without_sentences(shown(signed)) == without_sentences(before)
    assert signature_holds(signed)
    assert run("--all").endswith("1 looked at, 1 computed again, 0 different.\n")


def test_a_changed_translation_takes_no_acknowledgement_back(
    draft: Plan, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledge(
        plan=draft, revision=draft.revision, rule="antiplatelet_single", reason_code="explained", note="", by=ada
    )
    reworded(monkeypatch)
    edit = {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.25", "reason": "experience"}
    edit_plan(plan=draft, revision=draft.revision, edits=[edit], by=ada)
    assert list(live_acknowledgements(draft)) == ["antiplatelet_single"]


def test_the_answer_is_shown_in_the_readers_language(signed: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    assert signed.language == "en"
    monkeypatch.setattr(wording, "_", lambda text: f"{translation.get_language()}: {text}")
    with translation.override("fr"):
        said = shown(signed)
    assert said["cautions"][0]["message"].startswith("fr: ")
    assert without_sentences(said) == without_sentences(signed.result)


@pytest.mark.parametrize("where", ["value", "dose", "code"])
def test_every_number_and_code_is_signed(signed: Plan, where: str) -> None:
    assert signed.signed_by and signed.signed_at
    before = signature(signed_content(signed, by=signed.signed_by, at=signed.signed_at))
    result: dict[str, Any] = signed.result
    if where == "value":
        result["value"] = "99"
    elif where == "dose":
        result["syringes"][0]["lines"][0]["dose"] = "99"
    else:
        result["left_out"][0]["reason_code"] = "no_stock"
    assert before == signed.signature_sha256
    assert signature(signed_content(signed, by=signed.signed_by, at=signed.signed_at)) != before


def test_a_plan_of_an_older_engine_stays_verifiable(signed: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("protocols.management.commands.recompute", "protocols.computing", "protocols.queries"):
        monkeypatch.setattr(f"{place}.ENGINE_VERSION", "9.9")

    said = run("--all")
    assert f"computed by engine {signed.engine_version}, this is 9.9: not computed again; its signature holds" in said
    assert "1 looked at, 0 computed again, 0 different." in said
    assert shown(signed) == signed.result


def test_a_tampered_plan_of_an_older_engine_is_found(signed: Plan) -> None:
    signed.engine_version = "0.1"
    signed.result["value"] = "99"
    assert differences(signed) == ["its signature does not belong to what is stored"]


def test_a_draft_of_an_older_engine_cannot_be_signed(ready: Plan) -> None:
    assert obstacles_to_signing(ready) == []
    ready.engine_version = "0.1"
    assert obstacles_to_signing(ready) == ["An older release computed this draft. Discard it and make a new plan."]
