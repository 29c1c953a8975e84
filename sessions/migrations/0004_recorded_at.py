from typing import Any

import django.utils.timezone
from django.db import migrations, models
from django.db.models import F


def recorded_when_done(apps: Any, schema_editor: Any) -> None:
    """Until now a session was dated by the moment of its recording."""
    apps.get_model("treatment_sessions", "TreatmentSession").objects.update(recorded_at=F("performed_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("treatment_sessions", "0003_reason_outside_the_window"),
    ]

    operations = [
        migrations.AddField(
            model_name="treatmentsession",
            name="recorded_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.RunPython(recorded_when_done, migrations.RunPython.noop),
    ]
