import django.db.models.deletion
from django.db import migrations, models

from mesoclinic.core.guards import install_in_migration


class Migration(migrations.Migration):
    dependencies = [("patients", "0008_intake_asked")]

    operations = [
        migrations.CreateModel(
            name="RegistrationKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.UUIDField(unique=True)),
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="registration_keys",
                        to="patients.patient",
                    ),
                ),
            ],
        ),
        migrations.AddField("intake", "unread", models.JSONField(default=dict)),
        migrations.RunPython(install_in_migration, migrations.RunPython.noop),
    ]
