"""The address that a load balancer asks."""

from django.urls import path

from mesoclinic.health import views as health

urlpatterns = [path("healthz", health.healthz, name="healthz")]
