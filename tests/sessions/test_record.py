"""Recording a session: what was injected against what was planned, lots, the password, and that it never changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone, translation

from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition, NotAllowed
from mesoclinic.messaging.models import Message
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from sessions.models import Administration, Appointment, AppointmentStatus, TreatmentSession
from sessions.treatment.actions import Injected, record_session
from tests.factories import PASSWORD
from tests.sessions import factories as make


@pytest.fixture(autouse=True)
def _forget_attempts():
    cache.clear()


@pytest.fixture
def visit(course) -> Appointment:
    """The first session, on this very day."""
    now = timezone.now()
    first = course.appointments.get(number=1)
    Appointment.objects.filter(pk=first.pk).update(starts_at=now, ends_at=now + timedelta(minutes=38))
    first.refresh_from_db()
    return first


AS_PLANNED = [
    Injected(syringe="A", ingredient="biotin", volume_ml=Decimal("0.50")),
    Injected(syringe="A", ingredient="dexpanthenol", volume_ml=Decimal("0.50")),
    Injected(syringe="A", ingredient="saline", volume_ml=Decimal("1.00")),
]


@pytest.fixture
def record(visit, ada):
    def recorded(**changes):
        call = {
            "appointment": visit,
            "administrations": AS_PLANNED,
            "nothing_changed": True,
            "tolerance": 2,
            "note": "",
            "password": PASSWORD,
            "by": ada,
            **changes,
        }
        return record_session(**call)

    return recorded


def but(place: int, **changes) -> list[Injected]:
    lines = list(AS_PLANNED)
    lines[place] = replace(lines[place], **changes)
    return lines


def test_session_as_planned_is_recorded_with_every_dose(record, visit, ada, plan) -> None:
    session = record()

    lines = list(
        session.administrations.order_by("id").values_list("ingredient__key", "volume_ml", "dose", "dose_unit")
    )
    assert lines == [
        ("biotin", Decimal("0.50"), Decimal("2.5"), "mg"),
        ("dexpanthenol", Decimal("0.50"), Decimal("100"), "mg"),
        ("saline", Decimal("1.00"), Decimal("0"), ""),
    ]
    visit.refresh_from_db()
    plan.refresh_from_db()
    assert (visit.status, plan.status) == (AppointmentStatus.DONE, PlanStatus.ACTIVE)
    assert (session.performed_by, session.tolerance, session.nothing_changed) == (ada, 2, True)
    assert AuditEvent.objects.filter(action="session.recorded", target_id=session.public_id).count() == 1


def test_dose_follows_the_volume_that_was_injected(record) -> None:
    session = record(administrations=but(0, volume_ml=Decimal("0.35"), deviation_reason="Drop lost"))

    line = session.administrations.get(ingredient__key="biotin")
    assert (line.planned_volume_ml, line.volume_ml, line.dose, line.deviation_reason) == (
        Decimal("0.50"),
        Decimal("0.35"),
        Decimal("1.75"),
        "Drop lost",
    )


def test_reason_is_kept_only_where_one_is_due(record) -> None:
    """A reason typed beside a line that was given as planned says nothing, and is not kept as if it did."""
    session = record(administrations=but(0, deviation_reason="Drop lost"))

    assert session.administrations.get(ingredient__key="biotin").deviation_reason == ""


def refusal(record, **changes) -> tuple[str, str | None]:
    with pytest.raises(DomainError) as refused:
        record(**changes)
    assert TreatmentSession.objects.count() == 0
    return str(refused.value), refused.value.field


@pytest.mark.parametrize(
    ("administrations", "said", "field"),
    [
        (but(0, volume_ml=Decimal("0.45")), "Biotin: 0.45 mL instead of 0.50 mL. Say why.", "reason-A-biotin"),
        (but(0, volume_ml=Decimal("0.55")), "Biotin: the plan was signed for 0.50 mL", "volume-A-biotin"),
        (but(0, volume_ml=Decimal("-0.05")), "A volume cannot be below 0 mL.", "volume-A-biotin"),
        (AS_PLANNED[:2], "Say for each line of the plan what was injected", None),
        ([*AS_PLANNED, AS_PLANNED[0]], "Say for each line of the plan what was injected", None),
    ],
)
def test_what_does_not_follow_the_plan_is_refused_beside_its_field(administrations, said, field, record) -> None:
    message, where = refusal(record, administrations=administrations)

    assert message.startswith(said)
    assert where == field


@pytest.mark.parametrize("language", ["fr", "es"])
def test_volumes_in_a_refusal_have_the_readers_decimal_sign(language, record) -> None:
    with translation.override(language):
        message, _where = refusal(record, administrations=but(0, volume_ml=Decimal("0.45")))
    assert "0,45 mL" in message and "0,50 mL" in message


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password": "wrong"}, "password"),
        ({"password": ""}, "password"),
        ({"tolerance": 6}, "tolerance"),
        ({"tolerance": 0}, "tolerance"),
        ({"nothing_changed": False, "note": "  "}, "note"),
    ],
)
def test_visit_as_a_whole_is_checked(changes, field, record) -> None:
    assert refusal(record, **changes)[1] == field


# ------------------------------------------------------------------ lots


def test_good_lot_is_kept_with_the_line(record, lyon) -> None:
    lot = make.lot(ingredient="biotin", site=lyon)

    session = record(administrations=but(0, lot=lot))

    assert session.administrations.get(ingredient__key="biotin").lot == lot


def day(offset: int):
    return timezone.now().date() + timedelta(days=offset)


@pytest.mark.parametrize(
    ("lot", "said"),
    [
        ({"ingredient": "dexpanthenol", "concentration": "200"}, "Lot L-1 is not Biotin."),
        ({"ingredient": "biotin", "expires_on": date(2026, 1, 1)}, "Lot L-1 expired on"),
        ({"ingredient": "biotin", "recalled_at": datetime(2026, 1, 1, tzinfo=UTC)}, "Lot L-1 has been recalled."),
        (
            {"ingredient": "biotin", "concentration": "10"},
            "Lot L-1 has 10 mg/mL; the plan was signed for 5 mg/mL.",
        ),
        ({"ingredient": "biotin", "concentration": "5", "unit": "µg/mL"}, "Lot L-1 has 5 µg/mL; the plan was signed"),
        ({"ingredient": "biotin", "received_ml": "0.45"}, "Lot L-1 has 0.45 mL left."),
    ],
)
def test_unfit_lot_is_refused(lot, said, record, lyon) -> None:
    message, field = refusal(record, administrations=but(0, lot=make.lot(site=lyon, **lot)))

    assert message.startswith(said)
    assert field == "lot-A-biotin"


def test_lot_is_good_until_the_end_of_its_last_day(record, lyon) -> None:
    today = timezone.now().astimezone(lyon.tz).date()

    assert record(administrations=but(0, lot=make.lot(ingredient="biotin", site=lyon, expires_on=today)))


def test_lot_of_another_site_is_refused(record, dan) -> None:
    elsewhere = dan.sites.get()

    assert refusal(record, administrations=but(0, lot=make.lot(ingredient="biotin", site=elsewhere)))[0] == (
        "Lot L-1 belongs to another site."
    )


# ------------------------------------------------------------------ who and when


def test_nurse_records_and_receptionist_does_not(record, ben, cleo) -> None:
    with pytest.raises(NotAllowed):
        record(by=cleo)
    assert record(by=ben).performed_by == ben


def test_practitioner_of_another_site_does_not_record(record, dan) -> None:
    with pytest.raises(NotAllowed):
        record(by=dan)


def test_session_is_recorded_once(record) -> None:
    record()

    with pytest.raises(InvalidTransition):
        record()
    assert TreatmentSession.objects.count() == 1


def test_session_before_its_day_is_refused(record, course) -> None:
    assert "cannot be begun before its day" in refusal(record, appointment=course.appointments.get(number=2))[0]


def test_session_of_a_stopped_plan_is_refused(record, plan) -> None:
    Plan.objects.filter(pk=plan.pk).update(status=PlanStatus.STOPPED)

    assert "Only a signed plan in force may be injected" in refusal(record)[0]


def test_last_session_completes_the_plan(record, course, plan, ada) -> None:
    now = timezone.now()
    for number in (1, 2, 3, 4):
        Appointment.objects.filter(course=course, number=number).update(
            starts_at=now - timedelta(days=30 * (5 - number)), ends_at=now - timedelta(days=30 * (5 - number), hours=-1)
        )
        record(appointment=course.appointments.select_related("course__plan").get(number=number))

    plan.refresh_from_db()
    assert plan.status == PlanStatus.COMPLETED


def test_reminder_still_waiting_is_stopped_once_the_session_is_done(record, visit) -> None:
    record()

    assert not Message.objects.filter(subject_id=visit.public_id, state="queued").exists()


def test_wrong_passwords_are_counted_and_stopped(record) -> None:
    for _attempt in range(5):
        with pytest.raises(InvalidInput):
            record(password="wrong")
    with pytest.raises(DomainError, match="wrong too often"):
        record()


# ------------------------------------------------------------------ for ever


def test_record_can_neither_change_nor_go(record) -> None:
    session = record()
    for change in (
        lambda: TreatmentSession.objects.filter(pk=session.pk).update(note="other"),
        lambda: Administration.objects.filter(session=session).update(volume_ml=Decimal("9.99")),
        lambda: Administration.objects.filter(session=session).delete(),
    ):
        with pytest.raises((IntegrityError, DatabaseError)), transaction.atomic():
            change()
    assert session.administrations.count() == 3
