"""The addresses of prints, and of the public page that checks one."""

from django.urls import path

from mesoclinic.documents import views

app_name = "documents"
urlpatterns = [
    path("documents/<uuid:public_id>/", views.document_status, name="status"),
    path("documents/<uuid:public_id>/file/", views.document_file, name="file"),
    path("documents/<uuid:public_id>/retry/", views.document_retry, name="retry"),
    path("documents/<uuid:public_id>/cancel/", views.document_cancel, name="cancel"),
    path("v/<str:token>/", views.print_check, name="check"),
]
