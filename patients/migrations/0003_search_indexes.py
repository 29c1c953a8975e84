from django.db import migrations, models
from django.db.models.functions import Lower


def order_by_letters_alone(apps, schema_editor):
    """On PostgreSQL the key sorts as on SQLite, whatever the database's language, and LIKE 'x%' can use its index."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE patients_patient ALTER COLUMN search_key TYPE varchar(1000) COLLATE "C"')


class Migration(migrations.Migration):
    dependencies = [
        ("patients", "0002_merge_medicines_review_day_check"),
    ]

    operations = [
        migrations.RunPython(order_by_letters_alone, migrations.RunPython.noop),
        migrations.AddIndex(
            "patient",
            models.Index(fields=["search_key", "number", "site", "status", "id"], name="patient_in_order"),
        ),
        migrations.AddIndex("patient", models.Index(fields=["site", "status"], name="patient_by_status")),
        migrations.AddIndex("patient", models.Index(fields=["birth_date"], name="patient_by_birth_date")),
        migrations.AddIndex("patient", models.Index(Lower("email"), name="patient_by_email")),
    ]
