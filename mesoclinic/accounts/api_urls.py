from django.urls import path

from mesoclinic.accounts.schema import SchemaView

urlpatterns = [path("schema/", SchemaView.as_view(), name="schema")]
