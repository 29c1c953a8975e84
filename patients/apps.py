from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class PatientsConfig(AppConfig):
    name = "patients"
    verbose_name = _("Patients")

    def ready(self) -> None:
        from patients import (
            guards,  # noqa: F401  (registers what the database itself keeps)
            search_index,
        )

        post_migrate.connect(search_index.install_after_migrate, sender=self, dispatch_uid="patients.search_index")
