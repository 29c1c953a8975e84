"""What the head of every page about a patient says: may the person be treated today, and if not, what now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from patients.models import Patient
from protocols.models import Plan
from protocols.standing.reasons import NOT_KNOWN, NOTHING_KNOWN, STATEMENT, Standing
from protocols.standing.standing import plans_in_force, standings_now
from sessions.models import Appointment, AppointmentStatus


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way on: a page of ours, or a number to call."""

    label: str
    url: str
    icon: str


@dataclass(frozen=True, kw_only=True)
class Band:
    """What stands over the page.

    ``kind``: "danger" for a stop, "warn" for cautions, "info" where nothing is answered yet, "" where nothing is said.
    """

    standing: Standing
    kind: str
    title: str
    chip: str
    ways: tuple[Way, ...]


def band_of(patient: Patient, *, user: User) -> Band:
    """Return what the head of a page about the patient says to ``user``: of today, by the plan in force."""
    plans = plans_in_force([patient])
    found = standings_now([patient], plans=plans)[patient.pk].seen_by(user)
    plan = plans.get(patient.pk)
    visit = next_visit(plan) if found.reasons and plan is not None and user.may(Permission.BOOKING_READ) else None
    return Band(
        standing=found,
        kind=kind_of(found),
        title=title_of(found),
        chip=chip_of(found),
        ways=ways_on(found, patient=patient, plan=plan, visit=visit, user=user),
    )


def chips_of(patients: Sequence[Patient], *, user: User) -> dict[int, str]:
    """Return by patient what a list says of those who may not be treated today; a fixed number of queries."""
    found = standings_now(patients) if patients else {}
    return {pk: chip_of(row.seen_by(user)) for pk, row in found.items() if row.is_stop}


def kind_of(found: Standing) -> str:
    if found.is_stop:
        return "danger"
    return "info" if found.state == NOTHING_KNOWN else "warn" if found.reasons else ""


def title_of(found: Standing) -> str:
    if found.is_stop:
        return _("May not be treated today: %(why)s") % {"why": found.stops[0].message}
    if found.state == NOTHING_KNOWN:
        return _("Nothing is answered yet")
    count = len(found.cautions) - len(found.for_asking)
    new = ngettext("%(n)d caution is new since the signature", "%(n)d cautions are new since the signature", count)
    said = [_("Something new has to be asked")] * bool(found.for_asking) + [new % {"n": count}] * bool(count)
    return "; ".join(said)


def chip_of(found: Standing) -> str:
    if found.is_stop:
        return _("STOP: %(what)s") % {"what": found.stops[0].short or found.stops[0].rule}
    if len(found.cautions) == 1 and found.for_asking:
        return found.for_asking[0].short
    return title_of(found)


def next_visit(plan: Plan) -> Appointment | None:
    """Return the first visit of the plan that is booked or has arrived, from today on."""
    coming = Appointment.objects.filter(course__plan=plan.pk, status__in=AppointmentStatus.COMING)
    return coming.order_by("starts_at").only("public_id", "status", "starts_at").first()


def ways_on(
    found: Standing, *, patient: Patient, plan: Plan | None, visit: Appointment | None, user: User
) -> tuple[Way, ...]:
    """Return what the reader can do about it, each at most one page away."""
    ways: list[Way] = []
    if user.may(Permission.INTAKE_WRITE):
        back = reverse("sessions:appointment", args=[visit.public_id]) if visit is not None else ""
        asking = [reason.ask_url(back=back) for reason in found.for_asking if reason.url]
        ways += [Way(label=_("Ask what is new"), url=url, icon="list") for url in asking]
        ways += _ask_again(found, back=back)
    if found.is_stop:
        if reason := next((reason for reason in found.stops if reason.url and reason.kind != NOT_KNOWN), None):
            reads_only = reason.kind == STATEMENT and not user.may(Permission.PLAN_SIGN)
            label = _("Read what was said") if reads_only else _("Settle it")
            ways.append(Way(label=label, url=reason.url, icon="note" if reads_only else "check"))
        ways += _call(patient, visit)
        if visit is not None and visit.status == AppointmentStatus.BOOKED and user.may(Permission.BOOKING_WRITE):
            ways.append(
                Way(label=_("Postpone"), url=reverse("sessions:appointment_move", args=[visit.public_id]), icon="cal")
            )
        if plan is not None and user.may(Permission.PLAN_WRITE):
            ways.append(Way(label=_("Amend"), url=reverse("protocols:plan", args=[plan.public_id]), icon="swap"))
            ways.append(
                Way(label=_("Stop plan"), url=reverse("protocols:plan_stop", args=[plan.public_id]), icon="stop")
            )
    elif len(found.cautions) > len(found.for_asking) and plan is not None and user.may(Permission.PLAN_READ):
        url = reverse("protocols:plan_cautions", args=[plan.public_id])
        ways.append(Way(label=_("Read and acknowledge"), url=url, icon="check"))
    return tuple(ways)


def _ask_again(found: Standing, *, back: str) -> Sequence[Way]:
    """One page for everything that is not known and can be asked before a session."""
    unknown = [reason for reason in found.stops if reason.kind == NOT_KNOWN and reason.url]
    if not unknown:
        return []
    first, *others = unknown
    also = "".join(f"&{reason.url.partition('?')[2]}" for reason in others)
    return [Way(label=_("Ask again"), url=first.ask_url(back=back) + also, icon="list")]


def _call(patient: Patient, visit: Appointment | None) -> Sequence[Way]:
    if visit is not None:
        return [Way(label=_("Call"), url=reverse("sessions:appointment_call", args=[visit.public_id]), icon="phone")]
    if patient.phone:
        number = "".join(sign for sign in patient.phone if sign.isdigit() or sign == "+")
        return [Way(label=_("Call"), url=f"tel:{number}", icon="phone")]
    return []
