"""The addresses of the pages about patients."""

from django.urls import path

from patients.views import intake as views
from patients.views.day_check import day_check
from patients.views.record import (
    merge_undo,
    patient_duplicates,
    patient_edit,
    patient_find,
    patient_list,
    patient_merge,
    patient_merge_into,
    patient_new,
)

app_name = "patients"
urlpatterns = [
    path("patients/", patient_list, name="list"),
    path("patients/new/", patient_new, name="new"),
    path("patients/duplicates/", patient_duplicates, name="duplicates"),
    path("patients/find/", patient_find, name="find"),
    path("patients/medicines/", views.medicines_read, name="medicines"),
    path("patients/merges/<uuid:public_id>/undo/", merge_undo, name="merge_undo"),
    path("patients/<uuid:public_id>/merge/", patient_merge, name="merge"),
    path("patients/<uuid:public_id>/merge/<uuid:other_id>/", patient_merge_into, name="merge_into"),
    path("patients/<uuid:public_id>/anything-changed/", day_check, name="day_check"),
    path("patients/<uuid:public_id>/edit/", patient_edit, name="edit"),
    path("patients/<uuid:public_id>/intakes/new/", views.intake_start, name="intake_start"),
    path("intakes/<uuid:public_id>/", views.intake_detail, name="intake_detail"),
    path("intakes/<uuid:public_id>/edit/", views.intake_edit, name="intake_edit"),
    path("intakes/<uuid:public_id>/review/", views.intake_review, name="intake_review"),
    path("intakes/<uuid:public_id>/reviewed/", views.intake_reviewed, name="intake_reviewed"),
]
