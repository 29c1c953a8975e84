"""When and what was done: rooms and hours, booked courses, treatment sessions with what was injected."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Lower, Replace
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.models import Site, User
from patients.models import Patient
from protocols.models import Ingredient, Plan, Product


class Weekday(models.IntegerChoices):
    MONDAY = 0, _("Monday")
    TUESDAY = 1, _("Tuesday")
    WEDNESDAY = 2, _("Wednesday")
    THURSDAY = 3, _("Thursday")
    FRIDAY = 4, _("Friday")
    SATURDAY = 5, _("Saturday")
    SUNDAY = 6, _("Sunday")


class Room(models.Model):
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="rooms")
    name = models.CharField(max_length=60)
    is_active = models.BooleanField(default=True)
    serves = models.JSONField(default=list)  # codes of sessions/abilities.py; empty: everything

    class Meta:
        ordering = ["site", "name"]
        constraints = [models.UniqueConstraint(fields=["site", "name"], name="room_name_once")]

    def __str__(self) -> str:
        return self.name


class WorkingHours(models.Model):
    """When one practitioner works at one site, in the site's wall time."""

    practitioner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="working_hours")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="working_hours")
    weekday = models.PositiveSmallIntegerField(choices=Weekday.choices)
    starts = models.TimeField()
    ends = models.TimeField()

    class Meta:
        ordering = ["practitioner", "weekday", "starts"]
        constraints = [
            models.CheckConstraint(
                condition=Q(starts__lt=F("ends")),
                name="hours_start_before_end",
                violation_error_message=_("Hours end after they start."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.practitioner}: {self.get_weekday_display()} {self.starts:%H:%M} to {self.ends:%H:%M}"


class Closure(models.Model):
    """A day on which a site is closed."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="closures")
    day = models.DateField()
    reason = models.CharField(max_length=120)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "day"], name="closure_once")]

    def __str__(self) -> str:
        return f"{self.day}: {self.reason}"


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


class Lot(models.Model):
    """A batch of a product, as received."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="lots")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="lots")
    number = models.CharField(max_length=60)
    expires_on = models.DateField()
    received_ml = models.DecimalField(max_digits=8, decimal_places=2)
    recalled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["expires_on", "number"]
        constraints = [
            models.UniqueConstraint(
                "product",
                "site",
                Lower(Replace("number", Value(" "), Value(""))),
                name="lot_once_per_site",
                violation_error_message=_("This lot is there already: case and blanks make no other number."),
            )
        ]

    def __str__(self) -> str:
        return self.number


class TreatmentSessionStatus(models.TextChoices):
    PERFORMED = "performed", _("Performed")
    ENTERED_IN_ERROR = "entered_in_error", _("Entered in error")


class TreatmentSession(models.Model):
    """What was done at one appointment (FHIR Procedure). Signed when it is recorded."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    appointment = models.OneToOneField(Appointment, on_delete=models.PROTECT, related_name="treatment_session")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="treatment_sessions")
    status = models.CharField(
        max_length=16, choices=TreatmentSessionStatus.choices, default=TreatmentSessionStatus.PERFORMED
    )
    nothing_changed = models.BooleanField()  # "anything changed?" was asked aloud and answered no
    tolerance = models.PositiveSmallIntegerField(null=True, blank=True)  # 1 very well to 5 badly
    note = models.TextField(blank=True)
    performed_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=timezone.now)  # signed; later than performed_at where it was late
    performed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-performed_at"]

    def __str__(self) -> str:
        return f"{self.appointment}, performed"


class Administration(models.Model):
    """One ingredient as it was injected (FHIR MedicationAdministration)."""

    session = models.ForeignKey(TreatmentSession, on_delete=models.PROTECT, related_name="administrations")
    ingredient = models.ForeignKey(Ingredient, on_delete=models.PROTECT, related_name="+")
    syringe = models.CharField(max_length=4)  # label of the mixture: A, B, C
    planned_volume_ml = models.DecimalField(max_digits=5, decimal_places=2)
    volume_ml = models.DecimalField(max_digits=5, decimal_places=2)
    dose = models.DecimalField(max_digits=14, decimal_places=6)
    dose_unit = models.CharField(max_length=20)
    lot = models.ForeignKey(Lot, null=True, blank=True, on_delete=models.PROTECT, related_name="administrations")
    deviation_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["syringe", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(volume_ml__gte=0), name="injected_volume_not_negative"),
            models.UniqueConstraint(fields=["session", "syringe", "ingredient"], name="ingredient_once_per_syringe"),
        ]

    def __str__(self) -> str:
        return f"{self.ingredient} {self.volume_ml} mL"


import sessions.change_models  # noqa: E402 - their tables belong to this app as well
import sessions.feed_models  # noqa: E402
import sessions.followup_models  # noqa: E402
import sessions.resource_models  # noqa: E402, F401
