"""The platform every clinical app stands on. It knows no patient."""

from mesoclinic.celery import app as celery_app

__all__ = ["celery_app"]
