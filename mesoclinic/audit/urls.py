"""The address of the page of events."""

from django.urls import path

from mesoclinic.audit import views

app_name = "audit"
urlpatterns = [path("audit/", views.event_list, name="list")]
