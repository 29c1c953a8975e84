"""The app of patients; the index of the search is made after each migration."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class PatientsConfig(AppConfig):
    name = "patients"
    verbose_name = _("Patients")

    def ready(self) -> None:
        from patients import guards as _registered  # noqa: F401  (what the database itself keeps)
        from patients.search import index as search_index

        post_migrate.connect(search_index.install_after_migrate, sender=self, dispatch_uid="patients.search.index")
