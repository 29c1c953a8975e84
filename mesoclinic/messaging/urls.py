"""The addresses of the outbox, and those at which returned mail is told."""

from django.urls import path

from mesoclinic.messaging import views

app_name = "messaging"
urlpatterns = [
    path("webhooks/bounce/", views.bounce, name="bounce"),
    path("webhooks/mail/", views.provider_events, name="provider_events"),
    path("messages/", views.message_list, name="list"),
    path("messages/<uuid:public_id>/", views.message_detail, name="detail"),
    path("messages/<uuid:public_id>/html/", views.message_html, name="html"),
    path("messages/<uuid:public_id>/undo/", views.message_undo, name="undo"),
    path("messages/<uuid:public_id>/retry/", views.message_retry, name="retry"),
]
