"""The addresses of the inbox, and of the wording of mails."""

from django.urls import path

from sessions.inbox import views
from sessions.inbox import views_links as links_views

app_name = "inbox"
urlpatterns = [
    path("inbox/", views.inbox_list, name="list"),
    path("inbox/<uuid:public_id>/", views.inbox_detail, name="detail"),
    path("inbox/<uuid:public_id>/reply/", views.inbox_reply, name="reply"),
    path("inbox/<uuid:public_id>/move/", views.inbox_move, name="move"),
    path("inbox/<uuid:public_id>/hand-over/", views.inbox_hand_over, name="hand_over"),
    path("inbox/<uuid:public_id>/close/", views.inbox_close, name="close"),
    path("patients/<uuid:public_id>/links/", links_views.patient_links, name="links"),
    path("patients/<uuid:public_id>/links/close/", links_views.patient_links_close, name="links_close"),
    path("documents/<uuid:public_id>/mail/", views.paper_mail, name="paper_mail"),
    path("settings/mails/", views.wording_list, name="wordings"),
    path("settings/mails/test/", views.mail_test, name="mail_test"),
    path("settings/mails/<slug:kind>/<slug:language>/", views.wording_edit, name="wording"),
    path("settings/mails/<slug:kind>/<slug:language>/letter/", views.wording_letter, name="wording_letter"),
]
