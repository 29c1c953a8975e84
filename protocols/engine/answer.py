"""Answer: the shape of what the engine says, one type for each object of the published schema.

Quantities are decimals as text. What may be missing is a sentence: the wording adds it, the engine's own answer has
none. A test holds these types and `schema.py` to the same fields.
"""

# No `from __future__ import annotations` here: what may be missing is read from the types while they are made.
from typing import Any, Literal, NotRequired, TypedDict

Status = Literal["proposed", "blocked", "incomplete", "waiting"]
Severity = Literal["mild", "moderate", "severe"]
Grade = Literal["A", "B", "C", "D", "E"]
Direction = Literal["supports", "mixed", "no_advantage", "untested"]
Role = Literal["active", "carrier", "diluent"]
InWords = Literal["much", "some", "little"]
DecidedBy = Literal["first_choice", "stands_in", "value", "by_hand", "kept", "limit"]
RequirementState = Literal["met", "substituted", "no_substitute", "gave_way", "could_return", "removed", "no_plan"]
LeftOutReason = Literal[
    "screened", "no_plan", "prescription_only", "preference", "not_drawable", "no_stock", "no_volume",
    "serves_no_concern", "removed_by_hand", "family_limit", "pair", "displaced", "small_syringe", "adds_too_little",
    "not_chosen", "diluent_not_needed", "diluent_for_reconstitution",
]  # fmt: skip
Params = dict[str, Any]
"""What the sentence of a code needs."""


# ---------------------------------------------------------------------- screening
class Missing(TypedDict):
    fact: str
    needed_by: list[str]
    question: NotRequired[str]
    label: NotRequired[str]


Waiver = TypedDict("Waiver", {"as": Literal["not_measured", "not_applicable"], "reason": str})


class Question(TypedDict):
    fact: str
    needed_by: list[str]
    ingredients: list[str]
    waived: Waiver | None
    question: NotRequired[str]
    label: NotRequired[str]


class Because(TypedDict):
    fact: str
    answer: Any
    op: str
    value: Any


class Finding(TypedDict):
    rule: str
    scope: str
    ingredients: list[str]
    because: list[Because]
    postponed: bool
    referral: str | None
    sources: list[str]
    params: Params
    message: NotRequired[str]
    until: NotRequired[str | None]
    rationale: NotRequired[str]
    because_text: NotRequired[list[str]]


class Referral(TypedDict):
    referral: str
    rule: str
    to: str
    urgency: str
    to_label: NotRequired[str]
    urgency_label: NotRequired[str]


class Exclusion(TypedDict):
    ingredient: str
    name: str
    rule: str
    because: list[Because]
    sources: list[str]
    message: NotRequired[str]
    because_text: NotRequired[list[str]]


class Stage(TypedDict):
    scale: str
    stage: str


class Concern(TypedDict):
    concern: str
    severity: Severity
    recorded_severity: Severity
    staged_by: list[Stage]
    staged_severity: Severity | None
    insisted: bool
    label: NotRequired[str]
    evidence_note: NotRequired[str]


class Zone(TypedDict):
    zone: str
    area_cm2: str
    label: NotRequired[str]


# ---------------------------------------------------------------------- the mixture
class Address(TypedDict):
    concern: str
    strength: int
    evidence_grade: Grade
    direction: Direction
    sources: list[str]
    web_article_only: bool
    label: NotRequired[str]
    grade_label: NotRequired[str]
    direction_label: NotRequired[str]
    notice: NotRequired[str]


class StandsInFor(TypedDict):
    concern: str
    ingredient: str


class Line(TypedDict):
    ingredient: str
    name: str
    role: Role
    stock_concentration: str
    concentration_unit: str
    volume_ml: str
    volume_min_ml: str
    volume_usual_ml: str
    volume_max_ml: str
    set_by_hand: bool
    dose: str
    dose_unit: str
    max_dose: str
    final_concentration: str
    addresses: list[Address]
    marginal_value: str | None
    required_by: list[str]
    stands_in_for: list[StandsInFor]
    prescription_only: bool
    director_confirmation_required: bool
    basis: str
    sources: list[str]
    label: NotRequired[str]
    reason: NotRequired[str]


class DrawnAs(TypedDict):
    count: int
    parts_ml: list[str]


class Osmolality(TypedDict):
    estimate: str | None
    unknown: list[str]


class UseImmediately(TypedDict):
    pair: str
    ingredients: list[str]
    sources: list[str]
    message: NotRequired[str]


class Syringe(TypedDict):
    label: str
    volume_ml: str
    drawn_as: DrawnAs
    ph_min: str
    ph_max: str
    ph_estimate: str
    osmolality: Osmolality
    diluent_share: str
    use_immediately: list[UseImmediately]
    lines: list[Line]


class Session(TypedDict):
    number: int
    syringes: list[Syringe]


# ---------------------------------------------------------------------- why, and what else
class Range(TypedDict):
    volume_min_ml: str
    volume_usual_ml: str
    volume_max_ml: str


class LeftOut(TypedDict):
    ingredient: str
    name: str
    reason_code: LeftOutReason
    params: Params
    range: Range | None
    reason: NotRequired[str]


class Requirement(TypedDict):
    concern: str
    first_choice: str
    ingredient: str | None
    state: RequirementState
    limit: str | None
    sentence: NotRequired[str]


class Amount(TypedDict):
    ingredient: str
    volume_ml: str
    dose: str
    dose_unit: str


class AlternativeSession(TypedDict):
    number: int
    lines: list[Amount]


class Trade(TypedDict):
    """A code with what its sentence needs: what an alternative gives and takes, or why waiting comes first."""

    code: str
    params: Params
    text: NotRequired[str]


class Review(TypedDict):
    days: int
    rules: list[str]
    sources: list[str]


class ReasonedReview(Review):
    because: list[Trade]


class Alternative(TypedDict):
    kind: Literal["mixture", "waiting"]
    ingredients: list[str]
    value: str
    value_difference: str
    lines: list[Amount]
    sessions: list[AlternativeSession]
    cost_total: str
    cost_difference: str
    trades: list[Trade]
    review: ReasonedReview | None
    names: NotRequired[list[str]]
    summary: NotRequired[str]


class NeededFor(TypedDict):
    cautions: int
    mixtures: int


class Served(TypedDict):
    concern: str
    value: str
    much: InWords


class Contribution(TypedDict):
    ingredient: str
    held: bool
    adds: InWords
    gross: str
    needed: str
    needed_for: NeededFor
    decided_by: DecidedBy
    limit: str | None
    serves: list[Served]
    first_choice_of: list[str]
    price: str | None
    text: NotRequired[str]
    loses: NotRequired[str]
    saves: NotRequired[str]
    figures: NotRequired[str]


# ---------------------------------------------------------------------- course and cost
class Window(TypedDict):
    session: int
    earliest: int
    ideal: int
    latest: int


class Spacing(TypedDict):
    ingredient: str
    from_session: int
    to_session: int
    min_days: int


class Checkpoint(TypedDict):
    key: str
    after_session: int | None
    offset_days: int
    earliest_days: int
    latest_days: int
    measures: list[str]
    purpose: NotRequired[str]


class Depth(TypedDict):
    min: str
    max: str


class Angle(TypedDict):
    min: int
    max: int


class Course(TypedDict):
    sessions: int
    sessions_min: int
    sessions_max: int
    schedule: str
    offsets_days: list[int]
    windows_days: list[Window]
    span_days: int
    span_min_days: int
    span_max_days: int
    min_gap_days: int
    ideal_gap_days: int
    max_gap_days: int
    spacings: list[Spacing]
    checkpoints: list[Checkpoint]
    duration_minutes: int
    appointment_minutes_extra: int
    appointment_minutes: int
    points: int
    volume_per_point_ml: str
    technique: str
    depth_mm: Depth
    angle_degrees: Angle
    needle: str
    change_needle_every_points: int
    sources: list[str]
    technique_label: NotRequired[str]


class CostLine(TypedDict):
    item: str
    key: str
    amount: str
    multiplier: str | None
    label: NotRequired[str]


class Cost(TypedDict):
    currency: str | None
    per_session: str
    sessions: list[str]
    total: str
    low: str
    high: str
    lines: list[CostLine]


# ---------------------------------------------------------------------- the whole
class Traced(TypedDict):
    step: str
    rule: str
    value: Any


class Refused(TypedDict):
    path: str
    code: str
    params: Params
    message: str


class Answer(TypedDict):
    status: Status
    missing: list[Missing]
    open_questions: list[Question]
    blocks: list[Finding]
    cautions: list[Finding]
    infos: list[Finding]
    referrals: list[Referral]
    excluded_by_rule: list[Exclusion]
    rules_fired: list[str]
    severity: Severity
    concerns: list[Concern]
    zones: list[Zone]
    area_cm2: str
    target_volume_ml: str
    total_volume_ml: str
    syringes: list[Syringe]
    left_out: list[LeftOut]
    requirements: list[Requirement]
    sessions: list[Session]
    alternatives: list[Alternative]
    contributions: list[Contribution]
    waiting: Review | None
    course: Course | None
    cost: Cost | None
    value: str | None
    value_cost: str | None
    edits: list[dict[str, Any]]
    trace: list[Traced]
    formulary_version: str
    formulary_fingerprint: str
    engine_version: str
    fingerprint: str
    advice: NotRequired[list[str]]
    summary: NotRequired[str]
    refusals: NotRequired[list[Refused]]
