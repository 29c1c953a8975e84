from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import django.db.models.functions.text
from django.db import migrations, models


def clashes(rows: Iterable[tuple[int, str, str]]) -> list[str]:
    """Return what was kept twice, of rows of product, site and number: the site and the numbers as they were typed."""
    found: dict[tuple[int, str, str], list[str]] = defaultdict(list)
    for product, site, number in rows:
        found[product, site, number.replace(" ", "").lower()].append(number)
    return [f"{key[1]}: {', '.join(map(repr, numbers))}" for key, numbers in found.items() if len(numbers) > 1]


def name_clashes(apps: Any, schema_editor: Any) -> None:
    """Stop with the lots that were kept twice, so that somebody decides which row is the box on the shelf."""
    lots = apps.get_model("treatment_sessions", "Lot").objects.using(schema_editor.connection.alias)
    twice = clashes(lots.order_by("pk").values_list("product_id", "site__name", "number"))
    if twice:
        raise ValueError(
            "These lots of one product differ only by case or blanks, so they are one lot. Correct the number of all but "
            "one of each (table treatment_sessions_lot), then migrate again. " + "; ".join(twice)
        )


class Migration(migrations.Migration):
    dependencies = [("treatment_sessions", "0008_call_notes")]

    operations = [
        migrations.RunPython(name_clashes, migrations.RunPython.noop, elidable=True),
        migrations.RemoveConstraint(model_name="lot", name="lot_once_per_site"),
        migrations.AddConstraint(
            model_name="lot",
            constraint=models.UniqueConstraint(
                models.F("product"),
                models.F("site"),
                django.db.models.functions.text.Lower(
                    django.db.models.functions.text.Replace("number", models.Value(" "), models.Value(""))
                ),
                name="lot_once_per_site",
                violation_error_message="This lot is there already: case and blanks make no other number.",
            ),
        ),
    ]
