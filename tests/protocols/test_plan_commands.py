"""recompute: the stored inputs give the stored bytes. plan_states: the page in docs/ is the table."""

from __future__ import annotations

from io import StringIO
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from mesoclinic.accounts.models import User
from protocols.actions.drafts import edit_plan
from protocols.actions.status import discard_plan
from protocols.management.commands.plan_states import PAGE
from protocols.models import Plan, transitions
from tests.factories_protocols import draft_plan


def run(*args: str) -> str:
    out = StringIO()
    call_command("recompute", *args, stdout=out)
    return out.getvalue()


def test_every_plan_gives_the_same_bytes(signed: Plan, ada: User) -> None:
    blocked = draft_plan(by=ada, facts={"fever_or_acute_illness": True})
    discard_plan(plan=blocked, by=ada)

    said = run("--all")

    assert said.count("the same bytes") == 2
    assert said.endswith("2 looked at, 2 computed again, 0 different.\n")
    assert run(str(signed.public_id)).count("the same bytes") == 1


def test_an_edited_plan_gives_the_same_bytes(draft: Plan, ada: User) -> None:
    edit = {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.25", "reason": "experience"}
    edit_plan(plan=draft, revision=0, edits=[edit], by=ada)
    assert "the same bytes" in run(str(draft.public_id))


def test_a_difference_is_named_and_fails(draft: Plan) -> None:
    result = dict(draft.result) | {"value": "99"}
    Plan.objects.filter(pk=draft.pk).update(result=result)
    out = StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("recompute", "--all", stdout=out)
    assert failed.value.returncode == 1
    assert "result differs at value" in out.getvalue()


@pytest.mark.parametrize(
    "args", [[], ["--all", "x"], ["nonsense"], [str(uuid4())]], ids=["none", "both", "no id", "unknown"]
)
def test_a_call_that_names_no_plan_is_an_error_of_use(db: None, args: list[str]) -> None:
    with pytest.raises(CommandError) as failed:
        run(*args)
    assert failed.value.returncode == 2


def test_the_page_of_states_is_drawn_from_the_table() -> None:
    assert (settings.BASE_DIR / PAGE).read_text(encoding="utf-8") == transitions.document()
    call_command("plan_states", "--check")


def test_every_state_can_be_reached_from_a_draft() -> None:
    reached, todo = set(), [next(iter(transitions.PLAN))]
    while todo:
        state = todo.pop()
        reached.add(state)
        todo += [following for following in transitions.PLAN[state] if following not in reached]
    assert reached == set(transitions.PLAN)
