"""Every model of this app, gathered from the modules of their subjects."""

from sessions.models.changes import ChangeKind, SessionLeftOut, VisitBefore, VisitChange
from sessions.models.feeds import CalendarFeed
from sessions.models.followups import (
    Answer,
    AnswerKind,
    AnswerLink,
    AnswerOutcome,
    AnswerState,
    FollowUp,
    FollowUpState,
    MailPreference,
    MailWording,
    Urgency,
)
from sessions.models.hours import (
    Abilities,
    Absence,
    AbsenceKind,
    OpenedHoliday,
    OpeningHours,
    SiteRules,
    TechniqueMinutes,
)
from sessions.models.sites import Closure, Room, Weekday, WorkingHours
from sessions.models.stock import Lot
from sessions.models.treatments import Administration, TreatmentSession, TreatmentSessionStatus
from sessions.models.visits import Appointment, AppointmentStatus, CallNote, Course, OverbookReason

__all__ = [
    "Abilities",
    "Absence",
    "AbsenceKind",
    "Administration",
    "Answer",
    "AnswerKind",
    "AnswerLink",
    "AnswerOutcome",
    "AnswerState",
    "Appointment",
    "AppointmentStatus",
    "CalendarFeed",
    "CallNote",
    "ChangeKind",
    "Closure",
    "Course",
    "FollowUp",
    "FollowUpState",
    "Lot",
    "MailPreference",
    "MailWording",
    "OpenedHoliday",
    "OpeningHours",
    "OverbookReason",
    "Room",
    "SessionLeftOut",
    "SiteRules",
    "TechniqueMinutes",
    "TreatmentSession",
    "TreatmentSessionStatus",
    "Urgency",
    "VisitBefore",
    "VisitChange",
    "Weekday",
    "WorkingHours",
]
