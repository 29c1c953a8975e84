"""Who may do what with a visit, and in which state. ``check_can_x`` raises the sentence, ``can_x`` asks."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.core.asking import asks
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from patients.models import Patient
from patients.permissions import check_in_care
from patients.queries import is_seen_by, remaining_record
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from protocols.standing.going_on import check_may_treat
from protocols.standing.reasons import Standing
from sessions.course.abilities import demands_of, in_words, lacking, serves
from sessions.models import Appointment, AppointmentStatus, Room
from sessions.models.transitions import before
from sessions.words import day_words


def _check_sees(patient: Patient, by: User, *, at: int | None = None) -> None:
    """``at`` is the site of the visit: who works there sees its patients, wherever their home is."""
    if at not in by.site_ids and not is_seen_by(patient, by):
        raise NotAllowed(_("This patient belongs to another site."))


def check_can_book(plan: Plan, *, site: Site, by: User) -> None:
    if not by.may(Permission.BOOKING_WRITE):
        raise NotAllowed(_("Your role does not book appointments."))
    _check_sees(remaining_record(plan.patient), by)
    if site.pk not in by.site_ids:
        raise NotAllowed(_("You do not work at this site."))
    check_in_care(plan.patient)
    check_in_force(plan)


def check_in_force(plan: Plan) -> None:
    """Raise InvalidTransition unless visits may be booked and injected by this plan."""
    if plan.waits:
        raise InvalidTransition(
            _("Plan %(number)s is to wait: nothing is injected by it. Amend it to plan a course.")
            % {"number": plan.display_number}
        )
    if plan.status not in PlanStatus.IN_FORCE:
        raise InvalidTransition(
            _("Only a signed plan in force can be booked; plan %(number)s.%(version)s is “%(status)s”.")
            % {"number": plan.number, "version": plan.version, "status": plan.get_status_display()}
        )


def check_can_treat(practitioner: User, *, plan: Plan, site: Site) -> None:
    """Whether the person may do, at this site, all that the plan asks of who injects it."""
    short = lacking([practitioner], site=site, demands=demands_of(plan))[practitioner.pk]
    if short:
        raise InvalidInput(
            _("%(who)s does not do this at %(site)s: %(what)s.")
            % {"who": practitioner, "site": site, "what": in_words(short)},
            field="practitioner",
        )


def check_room_serves(room: Room, *, plan: Plan, site: Site) -> None:
    if room.site_id != site.pk or not room.is_active:
        raise InvalidInput(_("%(room)s is not a room of %(site)s.") % {"room": room, "site": site}, field="room")
    if not serves(room, demands_of(plan)):
        raise InvalidInput(_("%(room)s is not used for what this plan asks for.") % {"room": room}, field="room")


def check_can_overbook(by: User) -> None:
    if not by.may(Permission.BOOKING_OVERBOOK):
        raise NotAllowed(_("Your role does not book over a time that is taken."))


def check_can_cancel(appointment: Appointment, *, by: User) -> None:
    if not by.may(Permission.BOOKING_WRITE):
        raise NotAllowed(_("Your role does not cancel appointments."))
    _check_sees(appointment.patient, by, at=appointment.site_id)
    if appointment.status not in before(AppointmentStatus.CANCELLED):
        raise InvalidTransition(_refused(appointment, _("cancelled")))


def check_can_move(appointment: Appointment, *, by: User) -> None:
    if not by.may(Permission.BOOKING_WRITE):
        raise NotAllowed(_("Your role does not move appointments."))
    _check_sees(appointment.patient, by, at=appointment.site_id)
    check_in_care(appointment.patient)
    if appointment.status != AppointmentStatus.BOOKED:
        raise InvalidTransition(_refused(appointment, _("moved")))


can_move = asks(check_can_move)


def check_can_put_back(appointment: Appointment, *, by: User) -> None:
    """Raise NotAllowed unless ``by`` may take back what was done to this visit."""
    if not by.may(Permission.BOOKING_WRITE):
        raise NotAllowed(_("Your role does not put appointments back."))
    _check_sees(appointment.patient, by, at=appointment.site_id)


can_cancel = asks(check_can_cancel)


def check_can_set_status(
    appointment: Appointment, *, status: AppointmentStatus, by: User, at: datetime | None = None
) -> None:
    if not by.may(Permission.BOOKING_WRITE):
        raise NotAllowed(_("Your role does not check patients in."))
    _check_sees(appointment.patient, by, at=appointment.site_id)
    if appointment.status not in before(status):
        raise InvalidTransition(_refused(appointment, status.label))
    at = at or timezone.now()
    if status == AppointmentStatus.ARRIVED:
        check_in_care(appointment.patient)
        check_its_day_has_come(appointment, at=at)
    if status == AppointmentStatus.NO_SHOW and at < appointment.starts_at:
        raise InvalidTransition(_("The appointment has not begun yet, so nobody has missed it."))


def check_its_day_has_come(appointment: Appointment, *, at: datetime) -> None:
    zone = appointment.site.tz
    day = appointment.starts_at.astimezone(zone).date()
    if at.astimezone(zone).date() < day:
        raise InvalidTransition(
            _("This appointment is on %(day)s; it cannot be begun before its day.") % {"day": day_words(day)}
        )


def check_can_record(appointment: Appointment, *, by: User, at: datetime | None = None) -> None:
    if not by.may(Permission.SESSION_WRITE):
        raise NotAllowed(_("Your role does not record sessions."))
    _check_sees(appointment.patient, by, at=appointment.site_id)
    check_in_care(appointment.patient)
    if appointment.status not in before(AppointmentStatus.DONE):
        raise InvalidTransition(_refused(appointment, AppointmentStatus.DONE.label))
    plan = appointment.course.plan
    if plan.status not in PlanStatus.IN_FORCE:
        raise InvalidTransition(
            _("The plan of this course is “%(status)s”. Only a signed plan in force may be injected.")
            % {"status": plan.get_status_display()}
        )
    check_its_day_has_come(appointment, at=at or timezone.now())
    waiting = appointment.course.appointments.filter(
        number__lt=appointment.number, status__in=before(AppointmentStatus.DONE)
    )
    earlier = waiting.order_by("number").values_list("number", flat=True).first()
    if earlier is not None:
        raise InvalidTransition(
            _("Session %(n)s of this course is still booked. Record or cancel it first.") % {"n": earlier}
        )


can_record = asks(check_can_record)


def _refused(appointment: Appointment, wanted: object) -> str:
    return _("This appointment is “%(now)s” and cannot become “%(wanted)s”.") % {
        "now": appointment.get_status_display(),
        "wanted": wanted,
    }


def check_visit_stands(appointment: Appointment, *, by: User, reason: str = "") -> Standing:
    """Return the standing on the visit's day where ``by`` may go on; raise MayNotTreat with the rule where not."""
    day = appointment.starts_at.astimezone(appointment.site.tz).date()
    return check_may_treat(
        appointment.patient, appointment.course.plan, day, by=by, reason=reason, field="standing_reason"
    )
