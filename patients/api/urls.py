"""The addresses of patients and statements in the API."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from patients.api.views import PatientViewSet, StatementViewSet

router = SimpleRouter()
router.register("patients", PatientViewSet, basename="api-patient")
router.register("statements", StatementViewSet, basename="api-statement")
urlpatterns = [path("", include(router.urls))]
