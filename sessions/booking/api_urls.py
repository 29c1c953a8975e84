"""The addresses of visits in the API."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from sessions.booking.api import AppointmentViewSet

router = SimpleRouter()
router.register("appointments", AppointmentViewSet, basename="api-appointment")
urlpatterns = [path("", include(router.urls))]
