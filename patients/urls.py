from django.urls import path

from patients import views

app_name = "patients"
urlpatterns = [
    path("patients/", views.patient_list, name="list"),
    path("patients/new/", views.patient_new, name="new"),
    path("patients/duplicates/", views.patient_duplicates, name="duplicates"),
    path("patients/find/", views.patient_find, name="find"),
    path("patients/medicines/", views.medicines_read, name="medicines"),
    path("patients/merges/<uuid:public_id>/undo/", views.merge_undo, name="merge_undo"),
    path("patients/<uuid:public_id>/merge/", views.patient_merge, name="merge"),
    path("patients/<uuid:public_id>/merge/<uuid:other_id>/", views.patient_merge_into, name="merge_into"),
    path("patients/<uuid:public_id>/anything-changed/", views.day_check, name="day_check"),
    path("patients/<uuid:public_id>/edit/", views.patient_edit, name="edit"),
    path("patients/<uuid:public_id>/intakes/new/", views.intake_start, name="intake_start"),
    path("intakes/<uuid:public_id>/", views.intake_detail, name="intake_detail"),
    path("intakes/<uuid:public_id>/edit/", views.intake_edit, name="intake_edit"),
    path("intakes/<uuid:public_id>/review/", views.intake_review, name="intake_review"),
    path("intakes/<uuid:public_id>/reviewed/", views.intake_reviewed, name="intake_reviewed"),
]
