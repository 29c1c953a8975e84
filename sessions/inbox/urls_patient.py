"""The addresses behind the buttons in mails."""

from django.urls import path

from sessions.inbox import views_patient as views

app_name = "answers"
urlpatterns = [
    path("<str:token>/", views.opened, name="open"),
    path("<str:token>/answers/<uuid:answer_id>/", views.answered, name="answered"),
    path("<str:token>/move/<uuid:visit_id>/", views.move, name="move"),
    path("<str:token>/cancel/<uuid:visit_id>/", views.cancel, name="cancel"),
    path("<str:token>/mails/", views.choose, name="choose"),
    path("<str:token>/stop/", views.stop, name="stop"),
]
