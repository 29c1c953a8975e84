from typing import Any

from django.conf import settings
from django.db import migrations, models

from mesoclinic.core import guards
from protocols.models.guards import OURS


def step_aside(apps: Any, schema_editor: Any) -> None:
    """SQLite rebuilds the table, which no trigger may name meanwhile; a fresh database has them by now."""
    guards.drop(schema_editor.connection, *OURS)


def come_back(apps: Any, schema_editor: Any) -> None:
    guards.install(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [
        ("patients", "0004_statements"),
        ("protocols", "0003_plan_stop"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(step_aside, step_aside),
        migrations.AddField(
            model_name="plan",
            name="kind",
            field=models.CharField(
                choices=[("course", "Course of injections"), ("waiting", "No injections now")],
                default="course",
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind", "waiting"), ("status__in", ["active", "completed"]), _negated=True),
                name="waiting_plan_has_no_course",
                violation_error_message="A plan without injections has no course to begin.",
            ),
        ),
        migrations.RunPython(come_back, migrations.RunPython.noop),
    ]
