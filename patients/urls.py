from django.urls import path

from patients import views

app_name = "patients"
urlpatterns = [
    path("patients/", views.patient_list, name="list"),
    path("patients/new/", views.patient_new, name="new"),
    path("patients/duplicates/", views.patient_duplicates, name="duplicates"),
    path("patients/<uuid:public_id>/edit/", views.patient_edit, name="edit"),
    path("patients/<uuid:public_id>/intakes/new/", views.intake_start, name="intake_start"),
    path("intakes/<uuid:public_id>/", views.intake_detail, name="intake_detail"),
    path("intakes/<uuid:public_id>/edit/", views.intake_edit, name="intake_edit"),
]
