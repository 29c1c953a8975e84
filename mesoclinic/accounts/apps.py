"""The app of clinic, sites and staff."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "mesoclinic.accounts"
    label = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from mesoclinic.core import checks as _registered  # noqa: F401
        from mesoclinic.login import events as log_in_events

        log_in_events.connect()
