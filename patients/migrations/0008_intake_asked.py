from django.db import migrations, models

from mesoclinic.core import guards


class Migration(migrations.Migration):
    """What stands in the database was asked before anybody counted: empty."""

    dependencies = [("patients", "0007_names_as_they_are_kept")]

    operations = [
        migrations.AddField(
            model_name="intake", name="asked", field=models.CharField(blank=True, default="", max_length=20)
        ),
        migrations.RunPython(guards.install_in_migration, migrations.RunPython.noop),
    ]
