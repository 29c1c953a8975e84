"""Intakes as a clinic holds them that took them before anybody counted which release asked what."""

from __future__ import annotations

from django.db import connection

from mesoclinic.core import guards
from patients.guards import INTAKE_IMMUTABLE
from patients.models import Intake


def asked_before(intake: Intake, *, asked: str = "") -> Intake:
    """Return a submitted intake as one of an earlier release; its guard is lifted for that moment."""
    if connection.vendor == "postgresql":
        connection.check_constraints()  # what is deferred comes first: a table that waits for it is not altered
    guards.drop(connection, INTAKE_IMMUTABLE)
    Intake.objects.filter(pk=intake.pk).update(asked=asked)
    guards.install(connection)
    intake.refresh_from_db()
    return intake
