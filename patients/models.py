"""Who is treated: identity, contact and dated intakes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.models import Site, User
from mesoclinic.core import names


class SexAtBirth(models.TextChoices):
    FEMALE = "female", _("female")
    MALE = "male", _("male")


class PatientStatus(models.TextChoices):
    ACTIVE = "active", _("Active")
    MOVED_AWAY = "moved_away", _("Moved away")
    DECEASED = "deceased", _("Deceased")
    MERGED = "merged", _("Merged into another record")


class Patient(models.Model):
    """A person in the clinic's care. Never deleted; the home site decides which staff see the record."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    number = models.PositiveIntegerField(unique=True, editable=False)  # shown as P-00342
    given_name = models.CharField(_("given name"), max_length=80, blank=True)  # one of the two is enough
    family_name = models.CharField(_("family name"), max_length=80, blank=True)
    family_name_first = models.BooleanField(_("the family name is said first"), default=False)
    birth_date = models.DateField(_("birth date"))
    sex_at_birth = models.CharField(_("sex registered at birth"), max_length=6, choices=SexAtBirth.choices)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("phone"), max_length=40, blank=True)
    language = models.CharField(_("language"), max_length=5, choices=settings.LANGUAGES, default="en")
    contact_allowed = models.BooleanField(_("agrees to appointment e-mails"), default=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="patients", verbose_name=_("site"))
    status = models.CharField(max_length=12, choices=PatientStatus.choices, default=PatientStatus.ACTIVE)
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="merged_records"
    )
    holds_merged_records = models.BooleanField(default=False, editable=False)  # spares the header a query
    search_key = models.CharField(max_length=1000, editable=False)  # see patients.search.keys.search_key_of
    revision = models.PositiveIntegerField(default=0, editable=False)  # rises with each change of the record
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["search_key", "number"]  # family name first, accents aside
        indexes = [
            # A list and its pages are read from this alone.
            models.Index(fields=["search_key", "number", "site", "status", "id"], name="patient_in_order"),
            models.Index(fields=["site", "status"], name="patient_by_status"),
            models.Index(fields=["birth_date"], name="patient_by_birth_date"),
            models.Index(Lower("email"), name="patient_by_email"),
        ]  # and on PostgreSQL that of patients.search.index
        constraints = [
            models.CheckConstraint(
                condition=~Q(given_name="", family_name=""),
                name="patient_has_a_name",
                violation_error_message=_("A patient has a name."),
            ),
            models.CheckConstraint(
                condition=~Q(merged_into=F("pk")),
                name="patient_not_merged_into_itself",
                violation_error_message=_("A record cannot be merged into itself."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """As it is said."""
        return names.full_name(given=self.given_name, family=self.family_name, family_first=self.family_name_first)

    @property
    def listed_name(self) -> str:
        """As lists have it, which are sorted by the family name."""
        return names.listed_name(given=self.given_name, family=self.family_name, family_first=self.family_name_first)

    @property
    def initials(self) -> str:
        return names.initials(given=self.given_name, family=self.family_name, family_first=self.family_name_first)

    @property
    def display_number(self) -> str:
        return f"P-{self.number:05d}"

    @property
    def is_in_care(self) -> bool:
        return self.status == PatientStatus.ACTIVE

    def age_on(self, day: date) -> int:
        """Age in whole years on ``day``."""
        return day.year - self.birth_date.year - ((day.month, day.day) < (self.birth_date.month, self.birth_date.day))


class RegistrationKey(models.Model):
    """The page that a patient was registered from: sent twice, it is one registration."""

    key = models.UUIDField(unique=True)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="registration_keys")

    def __str__(self) -> str:
        return f"{self.key}: {self.patient}"


class PatientMerge(models.Model):
    """Two records of one person, put together: why, by whom, and whether it was undone. Nothing is moved by it.

    What was signed or submitted stays under the record it was written in; the surviving record shows both.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    merged = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="merges")
    kept = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(_("reason"), max_length=300)
    status_before = models.CharField(max_length=12, choices=PatientStatus.choices)
    merged_at = models.DateTimeField()
    merged_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-merged_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["merged"],
                condition=Q(undone_at__isnull=True),
                name="one_standing_merge",
                violation_error_message=_("This record is merged already."),
            ),
            models.CheckConstraint(
                condition=Q(undone_at__isnull=True, undone_by__isnull=True)
                | Q(undone_at__isnull=False, undone_by__isnull=False),
                name="merge_undone_by_and_at",
                violation_error_message=_("A merge that was undone says who undid it and when."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.merged.display_number} into {self.kept.display_number}"


class IntakeStatus(models.TextChoices):
    DRAFT = "draft", _("Being filled in")
    SUBMITTED = "submitted", _("Submitted")


class Intake(models.Model):
    """A dated set of answers. Once submitted it never changes; a new one supersedes it.

    ``facts`` holds answered questions only: a key that is missing was not answered, which never counts as "no".
    ``{"unknown": true}`` stands for "the person does not know", ``{"never": true}`` for "it never happened" where a
    question asks how long ago something was. Numbers that may have decimals are decimal strings. ``concerns`` is
    ``[{"concern", "severity"}]``; ``zones`` is ``[{"zone", "area_cm2"}]`` with the area as a decimal string in cm².
    ``asked`` names the release whose questions these are: a list says nothing about what came to it later.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="intakes")
    number = models.PositiveSmallIntegerField()  # 1 is the patient's first
    status = models.CharField(max_length=10, choices=IntakeStatus.choices, default=IntakeStatus.DRAFT)
    facts = models.JSONField(default=dict)
    concerns = models.JSONField(default=list)
    zones = models.JSONField(default=list)
    note = models.TextField(_("note"), blank=True)
    medicines = models.JSONField(
        default=list
    )  # as named: [{"text", "atc", "classes", "state"}], see patients.intake.medicines
    other_allergies = models.TextField(_("other allergies"), blank=True)  # in the person's own words
    details = models.JSONField(default=dict)  # what somebody added to a “yes”: {fact: {value: text}}
    groups = models.JSONField(default=dict)  # a list answered part by part: {fact: {group: "none" | "unknown"}}
    asked = models.CharField(max_length=20, blank=True, default="")  # a release; empty: before they counted
    unread = models.JSONField(default=dict)  # typed, and no answer yet: {input: [text]}; nothing is submitted with it
    step = models.CharField(max_length=20, blank=True)  # of the page, where filling in goes on
    revision = models.PositiveIntegerField(
        default=0
    )  # rises with each save of the draft; two tabs can't overwrite each other
    typed_marks: Mapping[str, str] = {}  # not stored: of what the save at hand was given, before others' were joined
    started_at = models.DateTimeField(auto_now_add=True)
    started_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    saved_at = models.DateTimeField(null=True, blank=True)  # the draft's last save
    saved_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    submitted_at = models.DateTimeField(null=True, blank=True)
    submitted_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["patient", "number"], name="intake_number_once"),
            models.UniqueConstraint(
                fields=["patient"],
                condition=Q(status="draft"),
                name="one_intake_draft",
                violation_error_message=_("An intake is being filled in already."),
            ),
            models.CheckConstraint(
                condition=Q(status="draft", submitted_at__isnull=True, submitted_by__isnull=True)
                | Q(status="submitted", submitted_at__isnull=False, submitted_by__isnull=False),
                name="intake_submitted_by_and_at",
                violation_error_message=_("A submitted intake says who submitted it and when."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.patient}, intake {self.number}"


class IntakeReview(models.Model):
    """A person of the staff has read a submitted intake."""

    intake = models.OneToOneField(Intake, on_delete=models.PROTECT, related_name="review")
    reviewed_at = models.DateTimeField()
    reviewed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"{self.intake}, reviewed"


class DayCheck(models.Model):
    """“Has anything changed?”, asked before a session: the intake that stands after it, old or new."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="day_checks")
    intake = models.ForeignKey(Intake, on_delete=models.PROTECT, related_name="day_checks")
    changed = models.BooleanField()
    answers = models.JSONField(default=dict)
    asked_at = models.DateTimeField()
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-asked_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.patient}, asked {self.asked_at:%Y-%m-%d}"


class StatementKind(models.TextChoices):
    MEDICINE = "medicine", _("Medicine")
    ALLERGY = "allergy", _("Allergy")
    ILLNESS = "illness", _("Illness")
    NOTE = "note", _("Note")


class StatementSource(models.TextChoices):
    INTAKE = "intake", _("Intake")
    DAY_CHECK = "day_check", _("Anything changed?")
    ANSWER = "answer", _("Answer by link")
    NOTE = "note", _("Note")


class SettlementOutcome(models.TextChoices):
    FACT = "fact", _("It is an answer")
    NONE_OF_THESE = "none_of_these", _("None of these")
    REOPENED = "reopened", _("Open again")


class NoneOfThese(models.TextChoices):
    """Why words change nothing about a treatment."""

    HARMLESS = "harmless", _("Asked again: no bearing on the treatment")
    STOPPED = "stopped", _("Stopped for good, more than 14 days ago")
    ANSWERED = "answered", _("The answers say it already")
    SOMEBODY_ELSE = "somebody_else", _("Said of somebody else")
    OTHER = "other", _("Other, in words")


class Statement(models.Model):
    """Something said in words that no fact holds. It never changes; what it was settled as stands beside it.

    Open until somebody who signs plans settles it: an open one stops a signature and a session.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="statements")
    kind = models.CharField(max_length=10, choices=StatementKind.choices)
    text = models.TextField()  # as it was said
    about = models.CharField(max_length=120, blank=True)  # the answer it was added to, or the question: "fact:value"
    is_unknown = models.BooleanField(default=False)  # “does not know”: the text is a sentence of ours, to be translated
    fingerprint = models.CharField(max_length=64)  # of kind and words: the same words are recognised
    source = models.CharField(max_length=10, choices=StatementSource.choices)
    source_id = models.UUIDField()
    said_at = models.DateTimeField()
    said_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )  # None: the patient, by link

    class Meta:
        ordering = ["said_at", "pk"]
        indexes = [models.Index(fields=["patient", "fingerprint"], name="statement_by_words")]
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "fingerprint", "source", "source_id"], name="statement_once_per_source"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.patient.display_number}, {self.get_kind_display()}"

    @property
    def words(self) -> str:
        """What was said, for a reader; a sentence of ours in the reader's language."""
        return gettext(self.text) if self.is_unknown else self.text

    @cached_property
    def settlement(self) -> Settlement | None:
        """The newest settlement; None while nobody has settled it."""
        return max(self.settlements.all(), key=lambda row: row.number, default=None)

    @property
    def is_open(self) -> bool:
        return self.settlement is None or self.settlement.outcome == SettlementOutcome.REOPENED

    @property
    def state(self) -> str:
        return "open" if self.is_open else "settled"

    @property
    def settled_at(self) -> datetime | None:
        return None if self.is_open or self.settlement is None else self.settlement.settled_at

    @property
    def settled_by(self) -> User | None:
        return None if self.is_open or self.settlement is None else self.settlement.settled_by

    @property
    def outcome(self) -> str:
        return "" if self.is_open or self.settlement is None else self.settlement.outcome

    @property
    def facts(self) -> list[dict[str, Any]]:
        return [] if self.is_open or self.settlement is None else self.settlement.facts

    @property
    def reason(self) -> str:
        return "" if self.settlement is None else self.settlement.reason


class Settlement(models.Model):
    """What a statement was taken to mean, by whom and when. A correction is a new one beside the old."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="settlements")
    number = models.PositiveSmallIntegerField()  # 1 is the first; the highest counts
    outcome = models.CharField(max_length=14, choices=SettlementOutcome.choices)
    facts = models.JSONField(default=list)  # [{"fact", "value"}]
    reason = models.CharField(max_length=14, choices=NoneOfThese.choices, blank=True)
    note = models.CharField(max_length=300, blank=True)
    settled_at = models.DateTimeField()
    settled_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["statement", "number"]
        constraints = [
            models.UniqueConstraint(
                fields=["statement", "number"],
                name="settlement_number_once",
                violation_error_message=_("Somebody else settled this in the same moment."),
            ),
            models.CheckConstraint(
                condition=~Q(outcome="none_of_these") | ~Q(reason=""),
                name="none_of_these_has_a_reason",
                violation_error_message=_("“None of these” needs its reason."),
            ),
            models.CheckConstraint(
                condition=Q(number=1) | ~Q(note=""),
                name="correction_has_words",
                violation_error_message=_("A correction says why."),
            ),
            models.CheckConstraint(
                condition=Q(number__gt=1) | ~Q(outcome="reopened"),
                name="only_a_settled_statement_is_reopened",
                violation_error_message=_("Only what was settled can be opened again."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.statement}, settlement {self.number}"
