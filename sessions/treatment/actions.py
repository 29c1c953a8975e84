"""Record what was injected at a visit: one transaction, the audit event inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from mesoclinic.core.numbers import shown_number
from mesoclinic.login.reauthentication import confirm_password
from patients.queries import day_checks_on, newest_submitted_intake
from protocols.models import Ingredient, Plan
from protocols.standing.going_on import check_may_treat
from protocols.standing.reasons import Standing
from protocols.standing.standing import standing
from sessions.course.gaps import check_course_length, check_intervals
from sessions.course.planned import PlannedLine, planned_lines
from sessions.models import (
    Administration,
    Appointment,
    AppointmentStatus,
    Lot,
    TreatmentSession,
    TreatmentSessionStatus,
)
from sessions.models.transitions import before
from sessions.permissions import check_can_record
from sessions.stock.queries import usable_lots
from sessions.treatment.hooks import Recorded, after_recording
from sessions.words import day_words, plain_number


@dataclass(frozen=True, kw_only=True)
class Injected:
    """What was injected of one planned line."""

    syringe: str
    ingredient: str  # key
    volume_ml: Decimal
    lot: Lot | None = None
    deviation_reason: str = ""

    @property
    def key(self) -> str:
        return f"{self.syringe}-{self.ingredient}"


def record_session(
    *,
    appointment: Appointment,
    administrations: Sequence[Injected],
    nothing_changed: bool,
    tolerance: int | None,
    note: str,
    password: str,
    by: User,
    performed_on: date | None = None,
    standing_reason: str = "",
) -> TreatmentSession:
    """Sign what was done at one visit. It happens once; the record never changes afterwards.

    Where the patient's standing is a stop and anything was injected, only somebody who signs plans records it, with
    ``standing_reason``. ``performed_on`` is the day it was done: the appointment's where it is not said.
    """
    check_can_record(appointment, by=by)
    confirm_password(by, password)
    now = timezone.now()
    return _record(
        _Recording(
            appointment=appointment,
            administrations=administrations,
            nothing_changed=nothing_changed,
            tolerance=tolerance,
            note=note,
            now=now,
            performed_on=performed_on,
            standing_reason=standing_reason,
        ),
        by=by,
    )


@dataclass(frozen=True, kw_only=True)
class _Recording:
    """What somebody says was done at a visit, and when they say it."""

    appointment: Appointment
    administrations: Sequence[Injected]
    nothing_changed: bool
    tolerance: int | None
    note: str
    now: datetime
    performed_on: date | None
    standing_reason: str

    @cached_property
    def plan(self) -> Plan:
        return self.appointment.course.plan

    @cached_property
    def planned(self) -> Sequence[PlannedLine]:
        return planned_lines(self.plan, self.appointment.number)

    @cached_property
    def performed_at(self) -> datetime:
        return _performed_at(self.appointment, self.performed_on, now=self.now)

    @cached_property
    def day(self) -> date:
        return self.performed_at.astimezone(self.appointment.site.tz).date()


@transaction.atomic
def _record(said: _Recording, *, by: User) -> TreatmentSession:
    _check_said(said)
    against = _check_may_be_injected(said, by=by)
    rows = _administrations(said, against)
    session = _keep(said, rows, by=by)
    after_recording(Recorded(session=session, against=against, reason=said.standing_reason), by=by)
    said.appointment.refresh_from_db(fields=["status"])
    trail.record(
        "session.recorded",
        by=by,
        target=session,
        patient=said.appointment.patient,
        details={
            "appointment": str(said.appointment.public_id),
            "plan": str(said.plan.public_id),
            "deviations": sum(1 for row in rows if row.deviation_reason),
            "lots": [str(row.lot.public_id) for row in rows if row.lot],
            "performed_on": said.day.isoformat(),
            "against_screening": [
                row.ingredient.key
                for row in rows
                if row.volume_ml > 0 and against is not None and against.why(row.ingredient.key)
            ],
        },
    )
    return session


def _check_said(said: _Recording) -> None:
    """Raise InvalidInput where an answer is out of its range, a change is not written down, or a line is missing."""
    if said.tolerance is not None and not 1 <= said.tolerance <= 5:
        raise InvalidInput(_("Tolerance goes from 1, very well, to 5, badly."), field="tolerance")
    if not said.nothing_changed and not said.note.strip():
        raise InvalidInput(_("Write what has changed since the last visit."), field="note")
    _check_lines(said.planned, said.administrations)


def _check_may_be_injected(said: _Recording, *, by: User) -> Standing | None:
    """Return the standing against which was injected, None where nothing was.

    Raise where the course is over, too few days have passed, or a stop stands that nobody may go on against.
    """
    appointment, day = said.appointment, said.day
    injected = {line.ingredient for line in said.administrations if line.volume_ml > 0}
    if not injected:
        return None
    check_course_length(said.plan, [appointment.number])
    check_intervals(
        said.plan, {appointment.number: day}, site=appointment.site, field="performed_on", injected=injected
    )
    return _check_stands(appointment, day, nothing_changed=said.nothing_changed, reason=said.standing_reason, by=by)


def _administrations(said: _Recording, against: Standing | None) -> list[Administration]:
    """Return a row for each planned line, not kept yet. Raise InvalidInput beside the line that cannot stand."""
    appointment = said.appointment
    usable = usable_lots(said.plan, appointment.number, site=appointment.site, today=said.day)
    known = {lot.product.ingredient.key for lot in usable}
    _check_lots_hold(said.planned, said.administrations)
    ingredients = Ingredient.objects.in_bulk([line.ingredient for line in said.planned], field_name="key")
    rows = []
    for line, done in zip(said.planned, _in_order(said.planned, said.administrations), strict=True):
        lot_known = line.ingredient in known
        _check_volume(line, done)
        if done.lot is not None:
            _check_lot(line, done, site=appointment.site, today=said.day)
        elif done.volume_ml > 0 and lot_known and not done.deviation_reason.strip():
            raise InvalidInput(
                _("%(name)s: choose its lot, or say why none is recorded.") % {"name": line.name},
                field=f"lot-{line.key}",
            )
        reason = _reason_kept(line, done, against=against, reason=said.standing_reason, lot_known=lot_known)
        rows.append(
            Administration(
                ingredient=ingredients[line.ingredient],
                syringe=line.syringe,
                planned_volume_ml=line.volume_ml,
                volume_ml=done.volume_ml,
                dose=line.dose_in(done.volume_ml),
                dose_unit=line.dose_unit,
                lot=done.lot,
                deviation_reason=reason,
            )
        )
    return rows


def _keep(said: _Recording, rows: Sequence[Administration], *, by: User) -> TreatmentSession:
    """Keep the session with its lines. Raise InvalidTransition where somebody else recorded it meanwhile."""
    open_ones = Appointment.objects.filter(pk=said.appointment.pk, status__in=before(AppointmentStatus.DONE))
    if not open_ones.update(status=AppointmentStatus.DONE):
        raise InvalidTransition(_("This session has been recorded already."))
    session = TreatmentSession.objects.create(
        appointment=said.appointment,
        plan=said.plan,
        nothing_changed=said.nothing_changed,
        tolerance=said.tolerance,
        note=said.note.strip(),
        performed_at=said.performed_at,
        performed_by=by,
        recorded_at=said.now,
    )
    for row in rows:
        row.session = session
    Administration.objects.bulk_create(rows)
    return session


def _check_lines(planned: Sequence[PlannedLine], done: Sequence[Injected]) -> None:
    if sorted(line.key for line in planned) != sorted(line.key for line in done):
        raise InvalidInput(_("Say for each line of the plan what was injected, 0 mL where nothing was."))


def _in_order(planned: Sequence[PlannedLine], done: Sequence[Injected]) -> list[Injected]:
    by_key = {line.key: line for line in done}
    return [by_key[line.key] for line in planned]


def _check_volume(line: PlannedLine, done: Injected) -> None:
    if done.volume_ml < 0:
        raise InvalidInput(_("A volume cannot be below 0 mL."), field=f"volume-{line.key}")
    if done.volume_ml > line.volume_ml:
        raise InvalidInput(
            _(
                "%(name)s: the plan was signed for %(planned)s mL, so no more was prepared. "
                "More needs an amended plan; write what happened in the note."
            )
            % {"name": line.name, "planned": shown_number(line.volume_ml)},
            field=f"volume-{line.key}",
        )
    if done.volume_ml != line.volume_ml and not done.deviation_reason.strip():
        raise InvalidInput(
            _("%(name)s: %(done)s mL instead of %(planned)s mL. Say why.")
            % {"name": line.name, "done": shown_number(done.volume_ml), "planned": shown_number(line.volume_ml)},
            field=f"reason-{line.key}",
        )


def _performed_at(appointment: Appointment, day: date | None, *, now: datetime) -> datetime:
    """When it was done: now if that was today, else the time of the appointment on the day that is named."""
    tz = appointment.site.tz
    booked = appointment.starts_at.astimezone(tz)
    day = day or booked.date()
    if day < booked.date():
        raise InvalidInput(
            _("The appointment is on %(day)s; the session cannot have been done before it.")
            % {"day": day_words(booked.date())},
            field="performed_on",
        )
    if day > now.astimezone(tz).date():
        raise InvalidInput(_("This day has not come yet."), field="performed_on")
    if day == now.astimezone(tz).date():
        return now
    return datetime.combine(day, booked.time(), tzinfo=tz)


def _check_stands(appointment: Appointment, day: date, *, nothing_changed: bool, reason: str, by: User) -> Standing:
    """What stands against injecting, once ``by`` may go on. What was answered since is not recorded as “unchanged”."""
    plan = appointment.course.plan
    found = standing(appointment.patient, plan, day)
    if nothing_changed and (changed := _answered_change(appointment, found, day)):
        raise InvalidInput(
            _("Something has changed: %(why)s Say so and write a note.") % {"why": changed}, field="nothing_changed"
        )
    return check_may_treat(appointment.patient, plan, day, by=by, reason=reason, needle=True, field="standing_reason")


def _answered_change(appointment: Appointment, found: Standing, day: date) -> str:
    """What newer answers than the plan's say: a stop, or a change told at the day check of that day."""
    newer = newest_submitted_intake(appointment.patient)
    if newer is None or newer.pk == appointment.course.plan.intake_id:
        return ""
    if found.is_stop:
        return found.stops[0].message
    check = day_checks_on(day, patients=[appointment.patient_id], tz=appointment.site.tz).get(appointment.patient_id)
    return _("The day check says so.") if check is not None and check.changed else ""


def _reason_kept(line: PlannedLine, done: Injected, *, against: Standing | None, reason: str, lot_known: bool) -> str:
    """A reason is kept where one is due: another volume, a lot not recorded, or what the standing forbids."""
    given = done.volume_ml > 0
    own = done.deviation_reason.strip()
    if given and against is not None and against.why(line.ingredient):
        return own or reason.strip()[:200]
    due = done.volume_ml != line.volume_ml or (given and lot_known and done.lot is None)
    return own if due else ""


def _check_lots_hold(planned: Sequence[PlannedLine], done: Sequence[Injected]) -> None:
    """A lot that several lines are drawn from has to hold all of them together."""
    drawn: dict[int, Decimal] = {}
    for line, given in zip(planned, _in_order(planned, done), strict=True):
        if given.lot is None:
            continue
        drawn[given.lot.pk] = drawn.get(given.lot.pk, Decimal(0)) + given.volume_ml
        lot = Lot.objects.select_for_update(of=("self",)).get(pk=given.lot.pk)
        used = lot.administrations.exclude(session__status=TreatmentSessionStatus.ENTERED_IN_ERROR).aggregate(
            used=Sum("volume_ml")
        )["used"]
        left = lot.received_ml - (used or Decimal(0))
        if drawn[lot.pk] > left:
            raise InvalidInput(
                _("Lot %(lot)s has %(left)s mL left.") % {"lot": lot.number, "left": shown_number(left)},
                field=f"lot-{line.key}",
            )


def _check_lot(line: PlannedLine, done: Injected, *, site: Site, today: date) -> None:
    lot = Lot.objects.select_for_update(of=("self",)).select_related("product__ingredient").get(pk=done.lot.pk)  # type: ignore[union-attr]
    field = f"lot-{line.key}"
    names = {"lot": lot.number, "name": line.name}
    if lot.site_id != site.pk:
        raise InvalidInput(_("Lot %(lot)s belongs to another site.") % names, field=field)
    if lot.product.ingredient.key != line.ingredient:
        raise InvalidInput(_("Lot %(lot)s is not %(name)s.") % names, field=field)
    if lot.expires_on < today:
        raise InvalidInput(
            _("Lot %(lot)s expired on %(day)s.") % {**names, "day": day_words(lot.expires_on)}, field=field
        )
    if lot.recalled_at is not None:
        raise InvalidInput(_("Lot %(lot)s has been recalled.") % names, field=field)
    strength = line.strength_per_ml
    if strength is not None and not line.is_served_by(lot.product):
        raise InvalidInput(
            _(
                "Lot %(lot)s has %(has)s %(unit)s; the plan was signed for %(wants)s %(wanted_unit)s. "
                "Another strength needs an amended plan."
            )
            % {
                **names,
                "has": shown_number(plain_number(lot.product.concentration)),
                "unit": lot.product.concentration_unit,
                "wants": shown_number(plain_number(strength)),
                "wanted_unit": f"{line.dose_unit}/mL",
            },
            field=field,
        )
