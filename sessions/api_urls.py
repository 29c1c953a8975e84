from django.urls import URLPattern

app_name = "sessions-api"
urlpatterns: list[URLPattern] = []
