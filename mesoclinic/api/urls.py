"""The addresses of the API as a whole."""

from django.urls import path

from mesoclinic.api.schema import SchemaView

urlpatterns = [path("schema/", SchemaView.as_view(), name="schema")]
