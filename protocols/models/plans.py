"""The plans that practitioners sign, and what was acknowledged, answered and stopped about them."""

from __future__ import annotations

import uuid
from datetime import date, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.models import User
from patients.models import Intake, Patient
from protocols.models.enums import (
    AcknowledgementReason,
    OpenAnswerKind,
    PlanKind,
    PlanStatus,
    StandingStep,
)
from protocols.models.formulary import FormularyVersion


class Plan(models.Model):
    """What a practitioner signs for one patient (FHIR CarePlan). Amended by a new version that names the old one.

    Everything that it was computed from is kept: ``case`` (facts, concerns, zones, stock), the formulary version,
    ``policy``, ``engine_version``, ``proposal`` (the engine's own answer), ``edits`` (what the practitioner changed)
    and ``result`` (the answer after the edits: what is signed). ``signature_sha256`` is over their canonical JSON with
    who and when. Once signed only ``status`` may change; the database refuses everything else.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="plans")
    intake = models.ForeignKey(Intake, on_delete=models.PROTECT, related_name="plans")
    formulary = models.ForeignKey(FormularyVersion, on_delete=models.PROTECT, related_name="plans")
    number = models.PositiveSmallIntegerField()  # 1 is the patient's first plan
    version = models.PositiveSmallIntegerField(default=1)
    supersedes = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="amendments")
    status = models.CharField(max_length=12, choices=PlanStatus.choices, default=PlanStatus.DRAFT)
    kind = models.CharField(max_length=10, choices=PlanKind.choices, default=PlanKind.COURSE)  # as its result says
    language = models.CharField(max_length=5, choices=settings.LANGUAGES, default="en")  # of the result's sentences
    case = models.JSONField()
    policy = models.JSONField()
    engine_version = models.CharField(max_length=20)
    proposal = models.JSONField()
    edits = models.JSONField(default=list)
    result = models.JSONField()
    revision = models.PositiveIntegerField(default=0)  # rises with each change of the draft
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    responsible = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="+"
    )  # who drafts it now, and may sign it
    signed_at = models.DateTimeField(null=True, blank=True)
    signed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="signed_plans")
    signature_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["patient", "number", "version"], name="plan_version_once"),
            models.UniqueConstraint(
                fields=["patient"],
                condition=Q(status="draft"),
                name="one_plan_draft",
                violation_error_message=_("A draft of a plan is open already."),
            ),
            models.UniqueConstraint(
                fields=["patient"],
                condition=Q(status__in=["signed", "active"]),
                name="one_plan_in_force",
                violation_error_message=_("Another plan of this patient is in force."),
            ),
            models.UniqueConstraint(
                fields=["supersedes"],
                condition=~Q(status="discarded"),
                name="plan_amended_once",
                violation_error_message=_("This plan has an amendment already."),
            ),
            models.CheckConstraint(
                condition=~Q(kind="waiting", status__in=["active", "completed"]),
                name="waiting_plan_has_no_course",
                violation_error_message=_("A plan without injections has no course to begin."),
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=["draft", "discarded"],
                    signed_at__isnull=True,
                    signed_by__isnull=True,
                    signature_sha256="",
                )
                | (
                    Q(~Q(status__in=["draft", "discarded"]), signed_at__isnull=False, signed_by__isnull=False)
                    & ~Q(signature_sha256="")
                ),
                name="plan_signed_by_and_at",
                violation_error_message=_("A signed plan says who signed it, when, and its hash."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.patient}, plan {self.number}.{self.version}"

    @property
    def is_draft(self) -> bool:
        return self.status == PlanStatus.DRAFT

    @property
    def waits(self) -> bool:
        """Whether nothing is injected by this plan: it holds advice and a day on which to look again."""
        return self.kind == PlanKind.WAITING

    @property
    def review_on(self) -> date | None:
        """Return the day of the review of a signed plan that waits, at the patient's site; None for any other."""
        if not self.waits or self.signed_at is None:
            return None
        signed = self.signed_at.astimezone(self.patient.site.tz).date()
        return signed + timedelta(days=int(self.result["waiting"]["days"]))

    @property
    def is_signed(self) -> bool:
        """Signed at some time, whatever became of it since."""
        return self.signed_at is not None

    @property
    def display_number(self) -> str:
        """As people say it: 1, and from the first amendment on 1.2."""
        return f"{self.number}" if self.version == 1 else f"{self.number}.{self.version}"

    @property
    def short_fingerprint(self) -> str:
        return " ".join(self.signature_sha256[i : i + 8] for i in range(0, 32, 8)).strip()


class Acknowledgement(models.Model):
    """A practitioner read one caution of one draft and says why it may go on. Superseded, never erased."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="acknowledgements")
    rule = models.CharField(max_length=80)
    reason_code = models.CharField(max_length=40)
    note = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "rule"],
                condition=Q(superseded_at__isnull=True),
                name="one_live_acknowledgement",
            )
        ]

    def __str__(self) -> str:
        return f"{self.rule}: {self.reason_code}"


class PlanStop(models.Model):
    """Why a signed plan was stopped. The plan itself never changes, so this stands beside it."""

    plan = models.OneToOneField(Plan, on_delete=models.PROTECT, related_name="stop")
    reason_code = models.CharField(max_length=40)
    note = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.plan}: {self.reason_code}"


class OpenAnswer(models.Model):
    """How a practitioner settled one open question of a draft: a value, or why there is none."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="open_answers")
    fact = models.CharField(max_length=60)
    kind = models.CharField(max_length=16, choices=OpenAnswerKind.choices)
    value = models.JSONField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "fact"], condition=Q(superseded_at__isnull=True), name="one_live_open_answer"
            )
        ]

    def __str__(self) -> str:
        return f"{self.fact}: {self.kind}"


class StandingAcknowledgement(models.Model):
    """A caution that came up after a plan was signed, read by somebody who signs plans: once per fact and plan."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="standing_acknowledgements")
    key = models.CharField(max_length=400)  # the rule with what was said, see protocols.standing.sentences.finding_key
    rule = models.CharField(max_length=80)
    answer = models.CharField(max_length=500, blank=True)  # as it was said
    reason_code = models.CharField(max_length=40, choices=AcknowledgementReason.choices)
    note = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "key"],
                name="caution_acknowledged_once",
                violation_error_message=_("This caution is acknowledged already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.rule}: {self.reason_code}"


class StandingOverride(models.Model):
    """Somebody who signs plans went on although a patient's standing was a stop: with what, against what, and why."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="overrides")
    step = models.CharField(max_length=10, choices=StandingStep.choices)
    subject_id = models.UUIDField()  # public id of the visit, course, document or session
    reasons = models.JSONField()  # what stood against it: [{"key", "rule", "message", "answer"}]
    reason = models.CharField(max_length=500)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]
        indexes = [models.Index(fields=["subject_id"], name="override_by_subject")]
        constraints = [
            models.CheckConstraint(
                condition=~Q(reason=""),
                name="override_has_a_reason",
                violation_error_message=_("Whoever goes on against a stop says why."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.plan}: {self.step} against a stop"
