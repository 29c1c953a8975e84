"""The table of URLs. Applications are named by dotted string only."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.urls")),
]
