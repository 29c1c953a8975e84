"""A database with the overlap rules of the version before and something booked in it, brought to today's.

    python -m tests.sessions.migrating_overlap

On a scratch SQLite file, or with DATABASE_URL on a scratch PostgreSQL database. Prints what is refused before and
after; which of two broken rules is named first differs between the engines.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.booking_races import scratch_database

BEFORE = [("treatment_sessions", "0005_calendar_feeds")]


def old_rules(connection: Any) -> None:
    """As they were installed before there was an overbooked visit or a minute around one."""
    from mesoclinic.core import guards
    from sessions.models.guards import PATIENT_FREE, PRACTITIONER_FREE, ROOM_FREE

    for guard, column in ((PRACTITIONER_FREE, "practitioner_id"), (ROOM_FREE, "room_id"), (PATIENT_FREE, "patient_id")):
        old = guards.no_overlap(name=guard.name, table=guard.table, column=column, live="{row}.status <> 'cancelled'")
        with connection.cursor() as cursor:
            for statement in old.sqlite if connection.vendor == "sqlite" else old.postgresql:
                cursor.execute(statement)


def main() -> None:
    with scratch_database() as url:
        os.environ["DATABASE_URL"] = url
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import IntegrityError, connection, connections, transaction
        from django.db.migrations.executor import MigrationExecutor

        from mesoclinic.core import guards
        from sessions.models.guards import PRACTITIONER_FREE, ROOM_FREE

        executor = MigrationExecutor(connection)
        executor.migrate(BEFORE)
        old = MigrationExecutor(connection).loader.project_state(BEFORE).apps
        old_rules(connection)
        booked = book(old, number=1)

        def attempt(said: str, apps: Any, number: int, **changes: Any) -> None:
            try:
                with transaction.atomic():
                    book(apps, number=number, like=booked, **changes)
            except IntegrityError as error:
                kept = any(guard.broken_by(error) for guard in (PRACTITIONER_FREE, ROOM_FREE))
                print(f"{said}: {'refused' if kept else error}")
            else:
                print(f"{said}: saved")

        attempt("before", old, 2)
        call_command("migrate", verbosity=0)
        print(f"missing after: {guards.missing(connection)}")
        from django.apps import apps

        from sessions.models import Appointment

        row = Appointment.objects.get()
        plain = (row.overbooked, row.overbook_reason, row.prepare_minutes, row.cleanup_minutes) == (False, "", 0, 0)
        print(f"kept: {Appointment.objects.count()}, {'not overbooked, no minutes around it' if plain else 'changed'}")
        over = {"overbooked": True, "overbook_reason": "urgent"}
        attempt("ordinary over it", apps, 3)
        attempt("overbooked over it", apps, 4, **over)
        attempt("overbooked once more", apps, 5, **over)
        attempt("within preparation", apps, 6, starts_at=row.ends_at, prepare_minutes=5)
        connections.close_all()


def book(apps: Any, *, number: int, like: Any = None, **changes: Any) -> Any:
    """A row by the models of that moment, with everything it hangs on."""
    get = apps.get_model
    now = datetime(2030, 1, 7, 9, tzinfo=UTC)
    user = get("accounts", "User").objects.get_or_create(
        email="ada@clinic.example", defaults={"given_name": "Ada", "family_name": "Moreau", "password": "!"}
    )[0]
    site = get("accounts", "Site").objects.get_or_create(
        name="Lyon", defaults={"time_zone": "Europe/Paris", "street": "1 quai", "city": "Lyon", "phone": "1"}
    )[0]
    room = get("treatment_sessions", "Room").objects.get_or_create(site=site, name="Room 1")[0]
    patient = get("patients", "Patient").objects.create(
        number=number,
        given_name="Teodor",
        family_name=f"Brandvold {number}",
        birth_date=now.date() - timedelta(days=12_000),
        sex_at_birth="male",
        site=site,
        created_by=user,
    )
    intake = get("patients", "Intake").objects.create(patient=patient, number=1, started_by=user)
    formulary = get("protocols", "FormularyVersion").objects.get_or_create(
        label="test", defaults={"documents": {}, "sha256": "0" * 64}
    )[0]
    plan = get("protocols", "Plan").objects.create(
        patient=patient,
        intake=intake,
        formulary=formulary,
        number=1,
        case={},
        policy={},
        proposal={},
        result={},
        engine_version="test",
        created_by=user,
        responsible=user,
    )
    course = get("treatment_sessions", "Course").objects.create(plan=plan, booked_at=now, booked_by=user)
    start = changes.pop("starts_at", now)
    return get("treatment_sessions", "Appointment").objects.create(
        course=course,
        number=1,
        patient=patient,
        practitioner=user,
        room=room,
        site=site,
        starts_at=start,
        ends_at=start + timedelta(minutes=38),
        created_by=user,
        **changes,
    )


if __name__ == "__main__":
    main()
