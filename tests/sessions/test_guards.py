"""The database's own refusals outlive a later migration that rebuilds the table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management.sql import emit_post_migrate_signal
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from mesoclinic.core import guards
from sessions.models import Appointment, TreatmentSession
from sessions.models.guards import PATIENT_FREE, PRACTITIONER_FREE, ROOM_FREE, SESSION_PERFORMED
from tests.sessions.test_booking import raw_overlap

OVERLAP = {PRACTITIONER_FREE.name, ROOM_FREE.name, PATIENT_FREE.name}


@pytest.fixture
def altered_table(course) -> Iterator[None]:
    """As a later migration would: a field made longer, which SQLite does by writing the table anew."""
    longer = models.CharField(max_length=30)
    longer.set_attributes_from_name("status")
    with connection.schema_editor() as editor:
        editor.alter_field(Appointment, Appointment._meta.get_field("status"), longer, strict=False)
    yield
    with connection.schema_editor() as editor:
        editor.alter_field(Appointment, longer, Appointment._meta.get_field("status"), strict=False)
    guards.install(connection)


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_rebuilt_table_has_lost_its_triggers_and_the_check_says_so(altered_table) -> None:
    """Why the guards are installed after every migrate, not only by the migration that made the table."""
    assert set(guards.missing(connection)) >= OVERLAP
    found = guards.guards_are_in_place(databases=["default"])
    assert {message.id for message in found} == {"mesoclinic.E001"}


@pytest.mark.django_db(transaction=True)
def test_overlap_is_still_refused_after_a_later_migration(altered_table, course) -> None:
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")

    assert guards.missing(connection) == []
    with pytest.raises(IntegrityError, match="booked_once"):
        raw_overlap(course.appointments.first())


@pytest.mark.parametrize("column", ["note", "performed_at", "recorded_at"])
def test_a_recorded_session_is_neither_changed_nor_removed(course, ada, column) -> None:
    visit = course.appointments.first()
    done = TreatmentSession.objects.create(
        appointment=visit, plan=course.plan, nothing_changed=True, performed_at=visit.starts_at, performed_by=ada
    )
    rows = TreatmentSession.objects.filter(pk=done.pk)
    with pytest.raises(IntegrityError, match=SESSION_PERFORMED.name), transaction.atomic():
        rows.update(**{column: "Other" if column == "note" else timezone.now()})
    with pytest.raises(IntegrityError, match=SESSION_PERFORMED.name), transaction.atomic():
        rows._raw_delete(using="default")
