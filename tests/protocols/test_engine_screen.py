"""Small tables for screening: rules, aims, severities and questions on a made-up formulary of three ingredients."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from protocols.engine.inputs.case import Case
from protocols.engine.inputs.formulary import Formulary, Rule
from protocols.engine.inputs.model import FactShape, Scope
from protocols.engine.inputs.triggers import Reason, build_trigger
from protocols.engine.screen import Screening, is_shown, open_questions, required_facts, screen

FACTS = {
    key: FactShape(key=key, type=kind, values=(), minimum=None, maximum=None)
    for key, kind in (("smoker", "boolean"), ("tired", "boolean"), ("listed", "list"), ("sex_at_birth", "enum"))
}
SMOKES = {"fact": "smoker", "op": "is", "value": True}
TIRED = {"fact": "tired", "op": "is", "value": True}


def rule(key: str, severity: str, trigger: dict[str, Any] = SMOKES, **changes: Any) -> Rule:
    scope = {"kind": "plan", **changes.pop("scope", {})}
    return Rule(
        key=key, severity=severity, scope=cast(Scope, SimpleNamespace(**{"mask": 0, "fact": "", **scope})),
        trigger=build_trigger(trigger, FACTS), **{"postponed": False, "refer": "", "sources": (), **changes},
    )  # fmt: skip


def aimed(mask: int) -> dict[str, Any]:
    return {"scope": {"kind": "ingredients", "mask": mask}}


LISTED: dict[str, Any] = {"scope": {"kind": "listed_in_fact", "fact": "listed"}}


def made(*rules: Rule, always: Sequence[str] = (), **by_sex: tuple[str, ...]) -> Formulary:
    keys = ("a", "b", "c")
    scales = {
        "first": {"fact": "smoker", "applies_to_sex": "any", "bands": {"I": "moderate", "II": "severe", "0": "none"}},
        "second": {"fact": "tired", "applies_to_sex": "any", "bands": {"I": "moderate", "2": "mild"}},
        "hers": {"fact": "listed", "applies_to_sex": "female", "bands": {"I": "severe"}},
        "unasked": {"fact": "", "applies_to_sex": "any", "bands": {"None": "severe"}},
    }
    return cast(
        Formulary,
        SimpleNamespace(
            rules=rules, facts=FACTS, required_always=tuple(always), required_by_sex=by_sex,
            rules_by_fact={fact: [each for each in rules if fact in each.trigger.facts()] for fact in FACTS},
            by_index=[SimpleNamespace(key=key) for key in keys],
            mask=lambda listed: sum(1 << keys.index(key) for key in listed),
            causes={},
            concerns={"x": SimpleNamespace(scales=tuple(scales)), "y": SimpleNamespace(scales=())},
            scales={key: SimpleNamespace(**row) for key, row in scales.items()},
        ),
    )  # fmt: skip


def case(*concerns: tuple[str, str], **facts: Any) -> Case:
    entries = [SimpleNamespace(concern=c, severity=s, insisted="") for c, s in concerns or [("y", "mild")]]
    return cast(Case, SimpleNamespace(facts=facts, concerns=tuple(entries)))


def with_zones(made_case: Case, *zones: str) -> Case:
    vars(made_case)["zones"] = tuple(SimpleNamespace(zone=zone) for zone in zones)
    return made_case


def found(screening: Screening) -> list[tuple[str, int]]:
    return [(finding.rule.key, finding.mask) for finding in screening.findings]


# ---------------------------------------------------------------------- rules that fire
def test_rules_that_fire_with_their_aims_and_reasons() -> None:
    formulary = made(
        rule("stop", "absolute"), rule("out", "exclude", **aimed(0b011)),
        rule("away", "exclude", TIRED, **aimed(0b100)),
        rule("warn", "caution", **aimed(0b100)), rule("listed", "exclude", **LISTED), rule("say", "info"),
        rule("twice", "info", {"any": [SMOKES, SMOKES, TIRED]}),
    )  # fmt: skip
    screening = screen(case(smoker=True, tired=False, listed=("c",)), formulary)

    assert found(screening) == [
        ("stop", 0), ("out", 0b011), ("warn", 0b100), ("listed", 0b100), ("say", 0), ("twice", 0),
    ]  # fmt: skip
    assert screening.excluded_mask == 0b111
    assert [finding.rule.key for finding in screening.blocks] == ["stop"]
    reason = Reason(fact="smoker", op="is", value=True, answer=True)
    assert {finding.because for finding in screening.findings} == {(reason,)}
    assert screen(case(smoker=True, tired=True), formulary).excluded_mask == 0b111
    assert found(screen(case(smoker=True), formulary))[3] == ("listed", 0)  # nothing is listed
    assert found(screen(case(smoker=True, listed="c"), formulary))[3] == ("listed", 0)  # no list
    assert screen(case(), formulary).findings == ()
    assert screen(case(), formulary).excluded_mask == 0
    others = made(rule("warn", "caution", **aimed(0b111)), rule("stop", "absolute", **aimed(0b111)))
    assert screen(case(smoker=True), others).excluded_mask == 0


@pytest.mark.parametrize(
    ("facts", "barred"),
    [
        ({"smoker": True, "listed": ("side", "far")}, ("side",)),
        ({"smoker": True, "listed": ("side", "top")}, ("top", "side")),  # in the order of the case
        ({"smoker": True, "listed": ("far",)}, ()),
        ({"smoker": True, "listed": "top"}, ()),  # no list
        ({"smoker": True}, ()),
        ({"smoker": False, "listed": ("side",)}, ()),
    ],
)
def test_a_rule_on_zones_speaks_of_those_to_be_treated(facts: dict[str, Any], barred: tuple[str, ...]) -> None:
    on_zones = rule("barred", "absolute", scope={"kind": "zones", "fact": "listed"})
    screening = screen(with_zones(case(**facts), "top", "side"), made(on_zones, rule("say", "info")))

    assert [key for key, _ in found(screening)] == ["barred"] * bool(barred) + ["say"] * facts["smoker"]
    if barred:
        reason = Reason(fact="listed", op="includes_any", value=barred, answer=barred)
        assert screening.findings[0].because == (reason,)


def test_a_finding_on_ingredients_is_shown_where_one_is_chosen() -> None:
    formulary = made(
        rule("plan", "info"), rule("aimed", "caution", **aimed(0b110)), rule("listed", "caution", **LISTED)
    )
    plan, aim, listed = screen(case(smoker=True, listed=("b",)), formulary).findings
    assert [is_shown(plan, mask) for mask in (0, 0b1)] == [True, True]
    assert [is_shown(aim, mask) for mask in (0, 0b001, 0b010, 0b101)] == [False, False, True, True]
    assert [is_shown(listed, mask) for mask in (0, 0b010, 0b101)] == [False, True, False]


@pytest.mark.parametrize(
    ("facts", "concern", "rules", "waits"),
    [
        ({}, "x", (), True),
        ({"smoker": True}, "x", (), False),  # the diagnosis is there
        ({"smoker": False}, "x", (), True),
        ({}, "y", (), False),
        ({"tired": True}, "x", (rule("stop", "absolute", TIRED, refer="doctor"),), False),
        ({"tired": True}, "x", (rule("stop", "absolute", TIRED, refer="other"),), True),
        ({"tired": True}, "x", (rule("warn", "caution", TIRED, refer="doctor"),), True),
        ({"tired": False}, "x", (rule("stop", "absolute", TIRED, refer="doctor"),), True),
    ],
)
def test_a_concern_waits_for_its_specialist(
    facts: dict[str, Any], concern: str, rules: tuple[Rule, ...], waits: bool
) -> None:
    wait = rule("wait", "absolute", {"any": [SMOKES, SMOKES]}, refer="doctor", referral_of_concern="x")
    screening = screen(case((concern, "mild"), **facts), made(wait, *rules))

    assert ("wait" in [key for key, _ in found(screening)]) is waits
    if waits:
        finding = screening.findings[-1]
        reason = Reason(fact="smoker", op="is_not", value=None, answer=facts.get("smoker"))
        assert (finding.because, finding.mask) == ((reason,), 0)


# ---------------------------------------------------------------------- what is missing, what is left to ask
def test_facts_that_are_needed_by_sex() -> None:
    formulary = made(rule("stop", "absolute"), always=("smoker",), female=("tired",))
    assert required_facts({}, formulary) == required_facts({"sex_at_birth": "male"}, formulary) == ("smoker",)
    assert required_facts({"sex_at_birth": "female"}, formulary) == ("smoker", "tired")
    assert screen(case(), formulary).missing == (("smoker", ("stop",)),)
    assert screen(case(sex_at_birth="female", smoker=False), formulary).missing == (("tired", ()),)
    assert screen(case(sex_at_birth="male", smoker=False), formulary).missing == ()


BOTH = {"all": [SMOKES, TIRED]}


@pytest.mark.parametrize(
    ("rules", "facts", "chosen", "asked"),
    [
        ((rule("r", "absolute"),), {}, 0, [("smoker", ("r",), ())]),
        ((rule("r", "absolute", **aimed(0b011)),), {}, 0b110, [("smoker", ("r",), ("b",))]),
        ((rule("r", "info"),), {}, 0b111, []),
        ((rule("r", "info", **aimed(0b111)),), {}, 0b111, []),
        ((rule("r", "caution"),), {}, 0b111, []),
        ((rule("r", "caution", **aimed(0b011)),), {}, 0b100, []),
        ((rule("r", "caution", **aimed(0b011)),), {}, 0b110, [("smoker", ("r",), ("b",))]),
        ((rule("r", "exclude", **aimed(0b111)),), {}, 0b101, [("smoker", ("r",), ("a", "c"))]),
        ((rule("r", "absolute"),), {"smoker": True}, 0, []),  # it has fired
        ((rule("r", "absolute"),), {"smoker": False}, 0, []),
        ((rule("r", "absolute", {"any": [SMOKES, TIRED]}),), {"tired": True}, 0, []),  # fired, one still unanswered
        ((rule("r", "absolute", BOTH),), {}, 0, [("smoker", ("r",), ()), ("tired", ("r",), ())]),
        ((rule("r", "absolute", BOTH),), {"tired": True}, 0, [("smoker", ("r",), ())]),
        ((rule("r", "absolute", BOTH),), {"tired": False}, 0, []),
        ((rule("r", "absolute", {"all": [SMOKES, SMOKES]}),), {}, 0, [("smoker", ("r",), ())]),
        ((rule("r", "absolute", referral_of_concern="x"),), {}, 0, []),
        ((rule("r", "exclude", **LISTED),), {}, 0b011, [("smoker", ("r",), ("a", "b"))]),  # who knows which
        ((rule("r", "exclude", **LISTED),), {"listed": ("c",)}, 0b011, []),
        (
            (rule("r", "exclude", **aimed(0b001)), rule("s", "caution", **aimed(0b010)), rule("t", "info")),
            {}, 0b011, [("smoker", ("r", "s"), ("a", "b"))],
        ),
    ],
)  # fmt: skip
def test_what_is_left_to_ask(
    rules: tuple[Rule, ...], facts: dict[str, Any], chosen: int, asked: list[tuple[str, tuple[str, ...], Any]]
) -> None:
    questions = open_questions(case(**facts), made(*rules), chosen)
    assert [(each.fact, each.needed_by, each.ingredients) for each in questions] == asked
    assert open_questions(case(**facts), made(*rules, always=("smoker", "tired")), chosen) == ()


def test_a_fact_that_needs_a_cause_is_asked_where_there_is_one() -> None:
    formulary = made(rule("r", "absolute"))
    vars(formulary)["causes"] = {"smoker": build_trigger(TIRED, FACTS)}
    asked = [open_questions(case(**facts), formulary, 0) for facts in ({"tired": True}, {"tired": False}, {})]
    assert [[each.fact for each in questions] for questions in asked] == [["smoker"], [], []]


# ---------------------------------------------------------------------- severities
@pytest.mark.parametrize(
    ("facts", "recorded", "severity", "staged_by"),
    [
        ({}, "mild", "mild", ()),
        ({"smoker": "II"}, "mild", "severe", (("first", "II"),)),
        ({"smoker": "I"}, "severe", "moderate", (("first", "I"),)),
        ({"smoker": "0"}, "severe", "severe", ()),
        ({"smoker": "unknown"}, "severe", "severe", ()),
        ({"smoker": "I", "tired": 2}, "severe", "moderate", (("first", "I"),)),
        ({"smoker": "I", "tired": "I"}, "severe", "moderate", (("first", "I"), ("second", "I"))),
        ({"smoker": "0", "tired": 2}, "severe", "mild", (("second", "2"),)),
        ({"listed": "I"}, "mild", "mild", ()),
        ({"listed": "I", "sex_at_birth": "male"}, "mild", "mild", ()),
        ({"listed": "I", "sex_at_birth": "female"}, "mild", "severe", (("hers", "I"),)),
    ],
)
def test_a_stage_sets_the_severity(
    facts: dict[str, Any], recorded: str, severity: str, staged_by: tuple[tuple[str, str], ...]
) -> None:
    screening = screen(case(("y", "moderate"), ("x", recorded), **facts), made())
    entry = next(each for each in screening.concerns if each.concern == "x")
    assert (entry.severity, entry.recorded, entry.staged_by) == (severity, recorded, staged_by)
    assert screening.severity == ("severe" if severity == "severe" else "moderate")


@pytest.mark.parametrize(("insisted", "severity"), [("", "severe"), ("seen today", "mild")])
def test_a_severity_may_be_insisted_on_against_the_stage(insisted: str, severity: str) -> None:
    entry = SimpleNamespace(concern="x", severity="mild", insisted=insisted)
    staged = cast(Case, SimpleNamespace(facts={"smoker": "II"}, concerns=(entry,)))
    (present,) = screen(staged, made()).concerns
    told = (present.severity, present.recorded, present.staged, present.staged_by, present.insisted)
    assert told == (severity, "mild", "severe", (("first", "II"),), bool(insisted))
    unstaged = cast(Case, SimpleNamespace(facts={}, concerns=(entry,)))
    (present,) = screen(unstaged, made()).concerns
    assert (present.severity, present.staged, present.insisted) == ("mild", "", False)


def test_concerns_are_told_the_most_severe_first_then_by_key() -> None:
    def order(*severities: str) -> list[str]:
        return [entry.concern for entry in screen(case(*zip("yx", severities, strict=True)), made()).concerns]

    assert order("mild", "mild") == order("mild", "moderate") == order("moderate", "severe") == ["x", "y"]
    assert order("moderate", "mild") == order("severe", "moderate") == ["y", "x"]
