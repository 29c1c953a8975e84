"""The app of messages."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "mesoclinic.messaging"
    label = "messaging"
    verbose_name = _("Messages")
