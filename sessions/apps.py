"""The app of visits; its label is treatment_sessions, since Django has an app sessions."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SessionsConfig(AppConfig):
    name = "sessions"
    label = "treatment_sessions"  # django.contrib.sessions holds "sessions"
    verbose_name = _("Sessions")

    def ready(self) -> None:
        from sessions.models import guards  # noqa: F401  (registers what the database itself keeps)
