"""A booked course, its appointments, and the calls about them."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.models import Site, User
from patients.models import Patient
from protocols.models import Plan
from sessions.models.sites import Room


class Course(models.Model):
    """The booked series of one signed plan."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    plan = models.OneToOneField(Plan, on_delete=models.PROTECT, related_name="course")
    booked_at = models.DateTimeField()
    booked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"Course of {self.plan}"


class AppointmentStatus(models.TextChoices):
    BOOKED = "booked", _("Booked")
    ARRIVED = "arrived", _("Arrived")
    DONE = "done", _("Done")
    NO_SHOW = "no_show", _("Did not come")
    CANCELLED = "cancelled", _("Cancelled")

    COMING = enum.nonmember((BOOKED[0], ARRIVED[0]))  # it takes place
    FREE_AGAIN = enum.nonmember((CANCELLED[0], NO_SHOW[0]))  # this session of the course may be booked anew
    OPEN_TO_A_WISH = enum.nonmember((BOOKED[0], NO_SHOW[0]))  # its patient may ask for another time


class OverbookReason(models.TextChoices):
    URGENT = "urgent", _("It cannot wait")
    COMPLICATION = "complication", _("A complication has to be seen")
    ASSISTED = "assisted", _("A second person assists")
    OUR_MISTAKE = "our_mistake", _("We made a mistake with the date")
    OTHER = "other", _("Another reason")


class Appointment(models.Model):
    """A booked time for one patient with one practitioner in one room, [starts_at, ends_at) in UTC.

    Practitioner and room are taken for the minutes of preparation and clean-up as well. The database refuses an overlap
    of practitioner, room or patient between rows that are not cancelled. An overbooked row may lie over one ordinary
    row of the same practitioner or room, never over another overbooked one, and never over one of the same patient.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)  # also the UID of its invitation
    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="appointments")
    number = models.PositiveSmallIntegerField()  # session n of the course
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="appointments")
    practitioner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="appointments")
    room = models.ForeignKey(Room, on_delete=models.PROTECT, related_name="appointments")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="appointments")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    status = models.CharField(max_length=10, choices=AppointmentStatus.choices, default=AppointmentStatus.BOOKED)
    sequence = models.PositiveSmallIntegerField(default=0)  # of the invitation; rises with each change
    window_reason = models.CharField(max_length=300, blank=True)  # why it lies outside the plan's window
    prepare_minutes = models.PositiveSmallIntegerField(default=0)  # before starts_at, without the patient
    cleanup_minutes = models.PositiveSmallIntegerField(default=0)  # after ends_at
    overbooked = models.BooleanField(default=False)  # deliberately, over a time that was taken
    overbook_reason = models.CharField(max_length=20, choices=OverbookReason.choices, blank=True)
    overbook_note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["starts_at", "id"]
        indexes = [models.Index(fields=["site", "starts_at"]), models.Index(fields=["patient", "starts_at"])]
        constraints = [
            models.CheckConstraint(
                condition=Q(starts_at__lt=F("ends_at")),
                name="appointment_starts_before_end",
                violation_error_message=_("An appointment ends after it starts."),
            ),
            models.UniqueConstraint(
                fields=["course", "number"],
                condition=~Q(status__in=["cancelled", "no_show"]),
                name="session_booked_once",
                violation_error_message=_("This session of the course is booked already."),
            ),
            models.CheckConstraint(
                condition=Q(prepare_minutes__lte=60, cleanup_minutes__lte=60),
                name="appointment_minutes_at_most_an_hour",
            ),
            models.CheckConstraint(
                condition=Q(overbooked=False, overbook_reason="", overbook_note="")
                | (Q(overbooked=True) & ~Q(overbook_reason="")),
                name="overbooked_with_reason",
                violation_error_message=_("An overbooked appointment says why."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.patient}, session {self.number}"

    @property
    def taken_from(self) -> datetime:
        """From when practitioner and room are taken: they prepare first."""
        return self.starts_at - timedelta(minutes=self.prepare_minutes)

    @property
    def taken_until(self) -> datetime:
        return self.ends_at + timedelta(minutes=self.cleanup_minutes)


class CallNote(models.Model):
    """A call about a visit that is held because the patient may not be treated: what was agreed."""

    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="calls")
    note = models.CharField(max_length=500)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.appointment}, call of {self.at:%Y-%m-%d}"
