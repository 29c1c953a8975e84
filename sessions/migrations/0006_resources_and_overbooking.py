import uuid
from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from mesoclinic.core import guards
from sessions.models.guards import PATIENT_FREE, PRACTITIONER_FREE, ROOM_FREE


def drop_overlap_guards(apps: Any, schema_editor: Any) -> None:
    """What they say changes with the columns: an overbooked visit, and the minutes around each."""
    guards.drop(schema_editor.connection, PRACTITIONER_FREE, ROOM_FREE, PATIENT_FREE)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("patients", "0002_merge_medicines_review_day_check"),
        ("treatment_sessions", "0005_calendar_feeds"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(drop_overlap_guards, migrations.RunPython.noop),
        migrations.CreateModel(
            name="Abilities",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("codes", models.JSONField(default=list)),
            ],
        ),
        migrations.CreateModel(
            name="Absence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("first_day", models.DateField()),
                ("last_day", models.DateField()),
                ("starts", models.TimeField(blank=True, null=True)),
                ("ends", models.TimeField(blank=True, null=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("leave", "On leave"),
                            ("training", "Training"),
                            ("elsewhere", "Working elsewhere"),
                            ("away", "Away"),
                        ],
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["first_day", "starts", "pk"],
            },
        ),
        migrations.CreateModel(
            name="OpenedHoliday",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
            ],
        ),
        migrations.CreateModel(
            name="OpeningHours",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("weekday", models.PositiveSmallIntegerField()),
                ("starts", models.TimeField()),
                ("ends", models.TimeField()),
            ],
            options={
                "ordering": ["site", "weekday", "starts"],
            },
        ),
        migrations.CreateModel(
            name="SiteRules",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("country", models.CharField(blank=True, max_length=3)),
                ("region", models.CharField(blank=True, max_length=40)),
                ("prepare_minutes", models.PositiveSmallIntegerField(default=0)),
                ("cleanup_minutes", models.PositiveSmallIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="TechniqueMinutes",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("technique", models.CharField(max_length=40)),
                ("prepare_minutes", models.PositiveSmallIntegerField()),
                ("cleanup_minutes", models.PositiveSmallIntegerField()),
            ],
        ),
        migrations.AddField(
            model_name="appointment",
            name="cleanup_minutes",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="appointment",
            name="overbook_note",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="appointment",
            name="overbook_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("urgent", "It cannot wait"),
                    ("complication", "A complication has to be seen"),
                    ("assisted", "A second person assists"),
                    ("our_mistake", "We made a mistake with the date"),
                    ("other", "Another reason"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="appointment",
            name="overbooked",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="appointment",
            name="prepare_minutes",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="room",
            name="serves",
            field=models.JSONField(default=list),
        ),
        migrations.AddConstraint(
            model_name="appointment",
            constraint=models.CheckConstraint(
                condition=models.Q(("cleanup_minutes__lte", 60), ("prepare_minutes__lte", 60)),
                name="appointment_minutes_at_most_an_hour",
            ),
        ),
        migrations.AddConstraint(
            model_name="appointment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("overbook_note", ""), ("overbook_reason", ""), ("overbooked", False)),
                    models.Q(("overbooked", True), models.Q(("overbook_reason", ""), _negated=True)),
                    _connector="OR",
                ),
                name="overbooked_with_reason",
                violation_error_message="An overbooked appointment says why.",
            ),
        ),
        migrations.AddField(
            model_name="abilities",
            name="person",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="abilities", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="abilities",
            name="site",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="abilities", to="accounts.site"
            ),
        ),
        migrations.AddField(
            model_name="absence",
            name="created_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="absence",
            name="person",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="absences", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="absence",
            name="site",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="absences",
                to="accounts.site",
            ),
        ),
        migrations.AddField(
            model_name="openedholiday",
            name="site",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="opened_holidays", to="accounts.site"
            ),
        ),
        migrations.AddField(
            model_name="openinghours",
            name="site",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="opening_hours", to="accounts.site"
            ),
        ),
        migrations.AddField(
            model_name="siterules",
            name="site",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, related_name="rules", to="accounts.site"
            ),
        ),
        migrations.AddField(
            model_name="techniqueminutes",
            name="site",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="technique_minutes", to="accounts.site"
            ),
        ),
        migrations.AddConstraint(
            model_name="abilities",
            constraint=models.UniqueConstraint(fields=("person", "site"), name="abilities_once_per_site"),
        ),
        migrations.AddIndex(
            model_name="absence",
            index=models.Index(fields=["person", "last_day"], name="treatment_s_person__3ca867_idx"),
        ),
        migrations.AddConstraint(
            model_name="absence",
            constraint=models.CheckConstraint(
                condition=models.Q(("first_day__lte", models.F("last_day"))),
                name="absence_first_day_before_last",
                violation_error_message="An absence ends on its first day or later.",
            ),
        ),
        migrations.AddConstraint(
            model_name="absence",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ends__isnull", True), ("starts__isnull", True)),
                    models.Q(
                        ("ends__isnull", False),
                        ("first_day", models.F("last_day")),
                        ("starts__isnull", False),
                        ("starts__lt", models.F("ends")),
                    ),
                    _connector="OR",
                ),
                name="absence_hours_of_one_day",
                violation_error_message="Hours are given for one day, from and until.",
            ),
        ),
        migrations.AddConstraint(
            model_name="openedholiday",
            constraint=models.UniqueConstraint(fields=("site", "day"), name="holiday_opened_once"),
        ),
        migrations.AddConstraint(
            model_name="openinghours",
            constraint=models.CheckConstraint(condition=models.Q(("weekday__lte", 6)), name="opening_weekday"),
        ),
        migrations.AddConstraint(
            model_name="openinghours",
            constraint=models.CheckConstraint(
                condition=models.Q(("starts__lt", models.F("ends"))),
                name="opening_starts_before_end",
                violation_error_message="Hours end after they start.",
            ),
        ),
        migrations.AddConstraint(
            model_name="siterules",
            constraint=models.CheckConstraint(
                condition=models.Q(("cleanup_minutes__lte", 60), ("prepare_minutes__lte", 60)),
                name="site_minutes_at_most_an_hour",
                violation_error_message="At most 60 minutes.",
            ),
        ),
        migrations.AddConstraint(
            model_name="techniqueminutes",
            constraint=models.UniqueConstraint(fields=("site", "technique"), name="technique_minutes_once"),
        ),
        migrations.AddConstraint(
            model_name="techniqueminutes",
            constraint=models.CheckConstraint(
                condition=models.Q(("cleanup_minutes__lte", 60), ("prepare_minutes__lte", 60)),
                name="technique_minutes_at_most_an_hour",
                violation_error_message="At most 60 minutes.",
            ),
        ),
        migrations.RunPython(guards.install_in_migration, drop_overlap_guards),
    ]
