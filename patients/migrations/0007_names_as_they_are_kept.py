from typing import Any

from django.db import migrations

from mesoclinic.core.names import tidy_line, tidy_name
from patients.search.keys import search_key_of

ROWS_AT_ONCE = 500


def tidy(apps: Any, schema_editor: Any) -> None:
    """Names and addresses as they are kept from now on, and the key by which they are found in every script."""
    patients = apps.get_model("patients", "Patient").objects.using(schema_editor.connection.alias)
    changed = []
    for row in patients.order_by("pk").iterator(chunk_size=ROWS_AT_ONCE):
        given, family = tidy_name(row.given_name), tidy_name(row.family_name)
        if given or family:
            row.given_name, row.family_name = given, family
        row.email, row.phone = tidy_line(row.email), tidy_line(row.phone)
        row.search_key = search_key_of(
            given_name=row.given_name,
            family_name=row.family_name,
            birth_date=row.birth_date,
            phone=row.phone,
            email=row.email,
            number=row.number,
        )
        changed.append(row)
        if len(changed) == ROWS_AT_ONCE:
            _save(patients, changed)
            changed = []
    _save(patients, changed)


def _save(patients: Any, rows: list[Any]) -> None:
    patients.bulk_update(rows, ["given_name", "family_name", "email", "phone", "search_key"])


class Migration(migrations.Migration):
    dependencies = [("patients", "0006_names_of_every_kind")]

    operations = [migrations.RunPython(tidy, migrations.RunPython.noop)]
