from typing import Any

from django.db import migrations

from mesoclinic.core import guards
from sessions.models.guards import SESSION_PERFORMED


def make_anew(apps: Any, schema_editor: Any) -> None:
    """It freezes recorded_at as well now; a guard that is there under its name stays as it was made."""
    guards.drop(schema_editor.connection, SESSION_PERFORMED)
    guards.install(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("treatment_sessions", "0006_resources_and_overbooking")]

    operations = [migrations.RunPython(make_anew, migrations.RunPython.noop)]
