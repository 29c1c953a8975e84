"""What a site and its people can do when: opening hours, holidays, minutes around a visit, absences, abilities.

Foreign keys name their models as text, so that this module stands on its own beside ``models.py``.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

_SITE = "accounts.Site"
MOST_MINUTES = 60  # of preparation, and of clean-up


class SiteRules(models.Model):
    """Where a site's public holidays come from, and the minutes around each visit. No row: none of either."""

    site = models.OneToOneField(_SITE, on_delete=models.CASCADE, related_name="rules")
    country = models.CharField(max_length=3, blank=True)  # ISO 3166-1; blank: no public holidays
    region = models.CharField(max_length=40, blank=True)  # as the library of holidays names it
    prepare_minutes = models.PositiveSmallIntegerField(default=0)
    cleanup_minutes = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(prepare_minutes__lte=MOST_MINUTES, cleanup_minutes__lte=MOST_MINUTES),
                name="site_minutes_at_most_an_hour",
                violation_error_message=_("At most 60 minutes."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.site}"


class TechniqueMinutes(models.Model):
    """One technique that needs other minutes around the visit than the site's usual ones."""

    site = models.ForeignKey(_SITE, on_delete=models.CASCADE, related_name="technique_minutes")
    technique = models.CharField(max_length=40)  # key of the formulary's course
    prepare_minutes = models.PositiveSmallIntegerField()
    cleanup_minutes = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "technique"], name="technique_minutes_once"),
            models.CheckConstraint(
                condition=Q(prepare_minutes__lte=MOST_MINUTES, cleanup_minutes__lte=MOST_MINUTES),
                name="technique_minutes_at_most_an_hour",
                violation_error_message=_("At most 60 minutes."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.site}: {self.technique}"


class OpeningHours(models.Model):
    """When a site is open, in its wall time. A site without any is not limited: its people's hours count."""

    site = models.ForeignKey(_SITE, on_delete=models.CASCADE, related_name="opening_hours")
    weekday = models.PositiveSmallIntegerField()  # Monday is 0
    starts = models.TimeField()
    ends = models.TimeField()

    class Meta:
        ordering = ["site", "weekday", "starts"]
        constraints = [
            models.CheckConstraint(condition=Q(weekday__lte=6), name="opening_weekday"),
            models.CheckConstraint(
                condition=Q(starts__lt=F("ends")),
                name="opening_starts_before_end",
                violation_error_message=_("Hours end after they start."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.site}: {self.weekday}, {self.starts:%H:%M} to {self.ends:%H:%M}"


class OpenedHoliday(models.Model):
    """A public holiday on which the site works all the same."""

    site = models.ForeignKey(_SITE, on_delete=models.CASCADE, related_name="opened_holidays")
    day = models.DateField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "day"], name="holiday_opened_once")]

    def __str__(self) -> str:
        return f"{self.site}: {self.day}"


class AbsenceKind(models.TextChoices):
    """Why somebody is away, no closer than the calendar has to know: never a diagnosis."""

    LEAVE = "leave", _("On leave")
    TRAINING = "training", _("Training")
    ELSEWHERE = "elsewhere", _("Working elsewhere")
    AWAY = "away", _("Away")


class Absence(models.Model):
    """Somebody is away, in the wall time of whichever site asks: whole days, or hours of one day."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="absences")
    site = models.ForeignKey(_SITE, null=True, blank=True, on_delete=models.CASCADE, related_name="absences")  # or all
    first_day = models.DateField()
    last_day = models.DateField()  # itself included
    starts = models.TimeField(null=True, blank=True)  # with ends: only these hours of the one day
    ends = models.TimeField(null=True, blank=True)
    kind = models.CharField(max_length=10, choices=AbsenceKind.choices)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["first_day", "starts", "pk"]
        indexes = [models.Index(fields=["person", "last_day"])]
        constraints = [
            models.CheckConstraint(
                condition=Q(first_day__lte=F("last_day")),
                name="absence_first_day_before_last",
                violation_error_message=_("An absence ends on its first day or later."),
            ),
            models.CheckConstraint(
                condition=Q(starts__isnull=True, ends__isnull=True)
                | Q(starts__isnull=False, ends__isnull=False, first_day=F("last_day"), starts__lt=F("ends")),
                name="absence_hours_of_one_day",
                violation_error_message=_("Hours are given for one day, from and until."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.first_day} to {self.last_day}"


class Abilities(models.Model):
    """What one person may do at one site (``sessions/course/abilities.py``). No row: the usual of their role."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="abilities")
    site = models.ForeignKey(_SITE, on_delete=models.CASCADE, related_name="abilities")
    codes = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "site"], name="abilities_once_per_site")]

    def __str__(self) -> str:
        return f"{self.person} at {self.site}"
