from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_paper_and_order_of_names"),
        ("patients", "0005_statements_of_intakes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="patient",
            name="family_name_first",
            field=models.BooleanField(default=False, verbose_name="the family name is said first"),
        ),
        migrations.AlterField(
            model_name="patient",
            name="family_name",
            field=models.CharField(blank=True, max_length=80, verbose_name="family name"),
        ),
        migrations.AlterField(
            model_name="patient",
            name="given_name",
            field=models.CharField(blank=True, max_length=80, verbose_name="given name"),
        ),
        migrations.AddConstraint(
            model_name="patient",
            constraint=models.CheckConstraint(
                condition=models.Q(("family_name", ""), ("given_name", ""), _negated=True),
                name="patient_has_a_name",
                violation_error_message="A patient has a name.",
            ),
        ),
    ]
