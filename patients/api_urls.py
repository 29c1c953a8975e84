from django.urls import include, path
from rest_framework.routers import SimpleRouter

from patients.api import PatientViewSet

router = SimpleRouter()
router.register("patients", PatientViewSet, basename="api-patient")
urlpatterns = [path("", include(router.urls))]
