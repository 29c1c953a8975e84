"""The states of a formulary version and of a plan, and the coded reasons that people choose from."""

import enum

from django.db import models
from django.utils.translation import gettext_lazy as _


class FormularyStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    PUBLISHED = "published", _("Published")
    RETIRED = "retired", _("Retired")


class PlanStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    SIGNED = "signed", _("Signed")
    ACTIVE = "active", _("Active")  # its course has begun
    COMPLETED = "completed", _("Completed")
    STOPPED = "stopped", _("Stopped")
    SUPERSEDED = "superseded", _("Superseded")
    DISCARDED = "discarded", _("Discarded")  # a draft that was given up

    IN_FORCE = enum.nonmember((SIGNED[0], ACTIVE[0]))  # by which somebody may be treated


class PlanKind(models.TextChoices):
    """What a plan plans: injections, or none for now."""

    COURSE = "course", _("Course of injections")
    WAITING = "waiting", _("No injections now")


class AcknowledgementReason(models.TextChoices):
    """Why a plan may go on although a caution stands."""

    EXPLAINED = "explained", _("Explained, the patient accepts it")
    PRESCRIBER_CONSULTED = "prescriber_consulted", _("Prescriber or specialist consulted")
    MEASURE_TAKEN = "measure_taken", _("A measure is planned (say which)")
    CHECKED_TODAY = "checked_today", _("Checked today, nothing against it")
    OTHER = "other", _("Other, in words")


NOTE_NEEDED = frozenset({AcknowledgementReason.MEASURE_TAKEN, AcknowledgementReason.OTHER})


class EditReason(models.TextChoices):
    """Why a practitioner departs from what the engine proposed."""

    TOLERANCE = "tolerance", _("Tolerated badly or well before")
    EXPERIENCE = "experience", _("Clinical judgement")
    PATIENT_WISH = "patient_wish", _("The patient's wish")
    AVAILABILITY = "availability", _("Availability")
    OTHER = "other", _("Other")  # in words


EDIT_NOTE_NEEDED = frozenset({EditReason.OTHER})


class StopReason(models.TextChoices):
    """Why a signed plan is not carried on."""

    NOT_TOLERATED = "not_tolerated", _("Not tolerated")
    NO_RESPONSE = "no_response", _("No response")
    CONTRAINDICATED = "contraindicated", _("Something against it has come up")
    PATIENT_WISH = "patient_wish", _("The patient's wish")
    LEFT_CARE = "left_care", _("Has left the clinic's care")
    OTHER = "other", _("Other, in words")


class OpenAnswerKind(models.TextChoices):
    ANSWERED = "answered", _("Answered")
    NOT_MEASURED = "not_measured", _("Not measured")
    NOT_APPLICABLE = "not_applicable", _("Not applicable")


class StandingStep(models.TextChoices):
    """What somebody who signs plans went on with although the patient's standing was a stop."""

    BOOK = "book", _("Booked")
    MOVE = "move", _("Moved")
    CHECK_IN = "check_in", _("Checked in as ready")
    PREPARE = "prepare", _("Prepared")
    RECORD = "record", _("Recorded")
