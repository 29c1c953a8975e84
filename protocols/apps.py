"""The app of formulary and plans."""

from django.apps import AppConfig
from django.db.models.signals import pre_migrate
from django.utils.translation import gettext_lazy as _


class ProtocolsConfig(AppConfig):
    name = "protocols"
    verbose_name = _("Protocols")

    def ready(self) -> None:
        from protocols.models import guards  # registers what the database itself keeps

        pre_migrate.connect(
            guards.step_aside_before_migrate, sender=self, dispatch_uid="protocols.models.guards.step_aside"
        )
