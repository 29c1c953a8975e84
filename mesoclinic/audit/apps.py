"""The app of the audit trail."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from mesoclinic.core import guards


class AuditConfig(AppConfig):
    name = "mesoclinic.audit"
    label = "audit"
    verbose_name = _("Audit trail")

    def ready(self) -> None:
        from mesoclinic.audit import guards as _registered  # noqa: F401

        # One receiver for the whole project: guards of every app are put back after each migrate.
        post_migrate.connect(guards.install_after_migrate, sender=self, dispatch_uid="guards.install")
