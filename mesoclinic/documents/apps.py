"""The app of prints."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DocumentsConfig(AppConfig):
    name = "mesoclinic.documents"
    label = "documents"
    verbose_name = _("Documents")

    def ready(self) -> None:
        from mesoclinic.documents import guards as _registered  # noqa: F401
