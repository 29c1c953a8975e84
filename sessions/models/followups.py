"""What is owed to a patient after a fact, the links in their mails, and what came back through them.

Foreign keys name their models as text, so that this module stands on its own beside ``models.py``.
"""

from __future__ import annotations

import enum
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

_STAFF = "accounts.User"
_PATIENT = "patients.Patient"


class FollowUpState(models.TextChoices):
    PLANNED = "planned", _("Its message is in the outbox")
    SKIPPED = "skipped", _("Not owed to this patient, or too late")
    VOID = "void", _("What it hung on is off")


class FollowUp(models.Model):
    """One thing that is owed because of a fact, made in the fact's transaction together with its message.

    ``kind``, ``subject_id`` and ``version`` are also the message's purpose, subject and version.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=40)
    subject_id = models.UUIDField()  # an appointment, a session, a plan
    version = models.PositiveIntegerField(default=1)
    patient = models.ForeignKey(_PATIENT, on_delete=models.PROTECT, related_name="follow_ups")
    why = models.CharField(max_length=40)  # the fact: "appointment.booked"
    due_at = models.DateTimeField()
    useful_until = models.DateTimeField()
    state = models.CharField(max_length=8, choices=FollowUpState.choices)
    reason = models.CharField(max_length=40, blank=True)  # why it was skipped or is void
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["due_at", "pk"]
        indexes = [models.Index(fields=["subject_id", "state"]), models.Index(fields=["patient", "state"])]
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject_id", "version"], name="follow_up_once"),
            models.CheckConstraint(
                condition=Q(state="planned", reason="") | (~Q(state="planned") & ~Q(reason="")),
                name="follow_up_off_with_reason",
                violation_error_message=_("A follow-up that is off says why."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.patient}"


class MailPreference(models.Model):
    """Which mails a patient wants beyond those about an appointment. No row means all of them."""

    patient = models.OneToOneField(_PATIENT, on_delete=models.CASCADE, related_name="mail_preference")
    reminders = models.BooleanField(default=True)
    questions = models.BooleanField(default=True)
    offers = models.BooleanField(default=True)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.patient}, mails"


class MailWording(models.Model):
    """A director's wording of one kind of mail in one language. The newest version counts; an empty one resets."""

    kind = models.CharField(max_length=40)
    language = models.CharField(max_length=5, choices=settings.LANGUAGES)
    version = models.PositiveIntegerField()
    texts = models.JSONField(default=dict)  # subject, preview, heading, body, button; empty: back to what is shipped
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(_STAFF, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["kind", "language", "-version"]
        constraints = [models.UniqueConstraint(fields=["kind", "language", "version"], name="wording_version_once")]

    def __str__(self) -> str:
        return f"{self.kind}, {self.language}, version {self.version}"


class AnswerLink(models.Model):
    """The link of one message: what it may be used for, until when. The address in the mail carries its signed id."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    purpose = models.CharField(max_length=40)  # of the message
    subject_id = models.UUIDField()
    version = models.PositiveIntegerField(default=1)
    patient = models.ForeignKey(_PATIENT, on_delete=models.PROTECT, related_name="answer_links")
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["purpose", "subject_id", "version"], name="answer_link_once"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose}: {self.patient}"


class AnswerKind(models.TextChoices):
    CONFIRM = "confirm", _("Confirmed")
    MOVE = "move", _("Asks for another time")
    CANCEL = "cancel", _("Cancelled by the patient")
    REPORT = "report", _("How it went")
    CALLBACK = "callback", _("Asks to be called")


class Urgency(models.TextChoices):
    NONE = "none", _("Expected")
    OUTSIDE = "outside", _("Longer or stronger than expected")
    SAME_DAY = "same_day", _("Red flag, same day")
    IMMEDIATELY = "immediately", _("Red flag, immediately")
    EMERGENCY = "emergency_number", _("Red flag, emergency number")

    RED_FLAGS = enum.nonmember((SAME_DAY[0], IMMEDIATELY[0], EMERGENCY[0]))


class AnswerState(models.TextChoices):
    NEW = "new", _("New")
    TAKEN = "taken", _("Somebody has it")
    CLOSED = "closed", _("Closed")

    OPEN = enum.nonmember((NEW[0], TAKEN[0]))


class AnswerOutcome(models.TextChoices):
    NOTHING_TO_DO = "nothing_to_do", _("Nothing to do")
    ADVISED = "advised", _("Advice given")
    BOOKED = "booked", _("Time found")
    SEEN = "seen", _("Seen in the clinic")
    REFERRED = "referred", _("Referred")
    NOT_REACHED = "not_reached", _("Not reached")
    REPLACED = "replaced", _("Replaced by a newer answer")

    BY_HAND = enum.nonmember(("nothing_to_do", "advised", "booked", "seen", "referred", "not_reached"))


class Answer(models.Model):
    """What a patient said through a link. It is never changed; what the clinic does about it stands beside it."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    link = models.ForeignKey(AnswerLink, on_delete=models.PROTECT, related_name="answers")
    patient = models.ForeignKey(_PATIENT, on_delete=models.PROTECT, related_name="answers")
    kind = models.CharField(max_length=8, choices=AnswerKind.choices)
    appointment = models.ForeignKey(
        "treatment_sessions.Appointment", null=True, blank=True, on_delete=models.PROTECT, related_name="answers"
    )
    replaced_by = models.ForeignKey(  # the newest answer of this kind through the same link
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="earlier"
    )
    said = models.JSONField(default=dict)
    fingerprint = models.CharField(max_length=64)  # of what was said: sending the same twice is one answer
    urgency = models.CharField(max_length=16, choices=Urgency.choices, default=Urgency.NONE)
    received_at = models.DateTimeField()
    state = models.CharField(max_length=6, choices=AnswerState.choices, default=AnswerState.NEW)
    handler = models.ForeignKey(_STAFF, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    responded_at = models.DateTimeField(null=True, blank=True)  # the first thing the clinic did about it
    outcome = models.CharField(max_length=16, choices=AnswerOutcome.choices, blank=True)
    note = models.CharField(max_length=500, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(_STAFF, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-received_at", "-pk"]
        indexes = [models.Index(fields=["state", "received_at"])]
        constraints = [
            models.UniqueConstraint(fields=["link", "fingerprint"], name="answer_said_once"),
            models.CheckConstraint(
                condition=Q(state="closed", closed_at__isnull=False) & ~Q(outcome="")
                | ~Q(state="closed") & Q(closed_at__isnull=True, closed_by__isnull=True, outcome=""),
                name="answer_closed_with_outcome",
                violation_error_message=_("A closed answer says when it was closed and with which outcome."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.patient}"
