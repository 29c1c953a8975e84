from django.db import migrations, models

import mesoclinic.accounts.models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="site",
            name="paper",
            field=models.CharField(
                choices=[("A4", "A4"), ("Letter", "US Letter")],
                default=mesoclinic.accounts.models.usual_paper,
                max_length=6,
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="family_name_first",
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name="user",
            name="family_name",
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AlterField(
            model_name="user",
            name="given_name",
            field=models.CharField(blank=True, max_length=80),
        ),
    ]
