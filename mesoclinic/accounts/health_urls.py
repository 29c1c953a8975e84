from django.urls import path

from mesoclinic.accounts import health

urlpatterns = [path("healthz", health.healthz, name="healthz")]
