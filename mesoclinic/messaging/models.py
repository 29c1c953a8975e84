"""The outbox: one row is one e-mail, and the row is the truth. The broker may lose everything; nothing is forgotten."""

from __future__ import annotations

import enum
import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class MessageState(models.TextChoices):
    HELD = "held", _("Held, can be undone")
    QUEUED = "queued", _("Waiting")
    SENDING = "sending", _("Being sent")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")
    EXPIRED = "expired", _("Too late, not sent")
    CANCELLED = "cancelled", _("Cancelled")
    BOUNCED = "bounced", _("Returned")

    # It has not left the house: it is addressed and worded anew when what it was made from changes.
    UNSENT = enum.nonmember((HELD[0], QUEUED[0], FAILED[0]))
    TO_LEAVE = enum.nonmember((HELD[0], QUEUED[0]))  # the next run takes it when it is due
    ON_ITS_WAY = enum.nonmember((HELD[0], QUEUED[0], SENDING[0]))  # nobody has to do anything for it to leave
    GONE = enum.nonmember((SENDING[0], SENT[0], BOUNCED[0]))  # too late to take back


# Every legal change of a message's state. Nothing else in the product names two states of one change.
TRANSITIONS: dict[MessageState, frozenset[MessageState]] = {
    MessageState.HELD: frozenset({MessageState.SENDING, MessageState.CANCELLED, MessageState.EXPIRED}),
    MessageState.QUEUED: frozenset({MessageState.SENDING, MessageState.CANCELLED, MessageState.EXPIRED}),
    MessageState.SENDING: frozenset(
        {
            MessageState.SENDING,  # another worker takes over when the lease has run out
            MessageState.SENT,
            MessageState.QUEUED,  # refused for now, comes again after the back-off
            MessageState.FAILED,
            MessageState.CANCELLED,
            MessageState.EXPIRED,
        }
    ),
    MessageState.SENT: frozenset({MessageState.BOUNCED}),
    MessageState.FAILED: frozenset({MessageState.QUEUED, MessageState.CANCELLED}),
    MessageState.EXPIRED: frozenset(),
    # It was on the wire when somebody cancelled it: the row says what really happened.
    # And what was withdrawn, since its reader could not be written to, is wanted again when they can.
    MessageState.CANCELLED: frozenset({MessageState.SENT, MessageState.QUEUED}),
    MessageState.BOUNCED: frozenset(),
}


def states_before(target: MessageState) -> list[MessageState]:
    """The states from which ``target`` may be reached."""
    return [state for state in MessageState if target in TRANSITIONS[state]]


class Message(models.Model):
    """One e-mail to one person.

    ``purpose`` + ``subject_id`` + ``version`` is unique: the same cause never makes two messages. ``message_id`` is
    made with the row, so every attempt carries the same one. The row is about somebody (``person_id``, a public id)
    without knowing who that is: the platform knows no patient.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    purpose = models.CharField(max_length=40)  # "booking", "reminder_24h"
    subject_id = models.UUIDField()  # what it tells of: a course, an appointment
    version = models.PositiveIntegerField(default=1)  # rises when the subject changed and must be told anew
    person_id = models.UUIDField(db_index=True)
    person_label = models.CharField(max_length=200)
    to_address = models.EmailField()
    language = models.CharField(max_length=5)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    html = models.TextField()
    attachments = models.JSONField(default=list)  # [{"name", "type", "text"}]
    headers = models.JSONField(default=dict)
    recipe = models.JSONField(default=dict)  # what its writer needs to write it anew; only the writer reads it
    message_id = models.CharField(max_length=200, unique=True)

    state = models.CharField(max_length=12, choices=MessageState.choices, default=MessageState.HELD)
    due_at = models.DateTimeField()  # not before this instant; a hold is a due_at a little ahead
    useful_until = models.DateTimeField(null=True, blank=True)  # later than this it is not sent any more
    attempts = models.PositiveSmallIntegerField(default=0)  # tries that were begun, whatever became of them
    failures = models.PositiveSmallIntegerField(default=0)  # tries that the mail server answered with a no
    first_tried_at = models.DateTimeField(null=True, blank=True)  # the Date header, the same in every try
    leased_until = models.DateTimeField(null=True, blank=True)  # set with SENDING; past it another worker may claim
    lease = models.UUIDField(null=True, blank=True)  # which claim; a result is recorded only by its holder
    last_error = models.CharField(max_length=500, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-due_at", "-id"]
        indexes = [
            models.Index(fields=["state", "attempts", "due_at"], name="message_to_claim"),
            models.Index(fields=["state", "useful_until"], name="message_to_expire"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["purpose", "subject_id", "version"], name="message_once"),
            models.CheckConstraint(
                condition=Q(state__in=["sent", "bounced"], sent_at__isnull=False)
                | (~Q(state__in=["sent", "bounced"]) & Q(sent_at__isnull=True)),
                name="message_sent_at_when_sent",
                violation_error_message=_("A message has a time of sending exactly when it was sent."),
            ),
            models.CheckConstraint(
                condition=Q(state="sending", lease__isnull=False, leased_until__isnull=False)
                | (~Q(state="sending") & Q(lease__isnull=True, leased_until__isnull=True)),
                name="message_lease_while_sending",
                violation_error_message=_("A message holds a lease exactly while it is being sent."),
            ),
        ]

    def __str__(self) -> str:
        return str(_("E-mail to %(who)s") % {"who": self.person_label})
