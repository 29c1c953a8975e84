"""The Celery application. Its beat, its worker and the web processes read the same settings."""

import os

from celery import Celery

from mesoclinic import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mesoclinic.settings")

broker.install()
app = Celery("mesoclinic")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
