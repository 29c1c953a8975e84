from django.urls import path

from protocols import screening_preview, settling_views, standing_views, views

app_name = "protocols"
urlpatterns = [
    path("formulary/", views.catalogue, name="catalogue"),
    path("formulary/ingredients/<uuid:public_id>/", views.ingredient, name="ingredient"),
    path("formulary/claims/", views.claims, name="claims"),
    path("formulary/versions/", views.versions, name="versions"),
    path("formulary/versions/new/", views.version_new, name="version_new"),
    path("formulary/versions/<uuid:public_id>/", views.version, name="version"),
    path("formulary/versions/<uuid:public_id>/changes/", views.version_changes, name="version_changes"),
    path("formulary/versions/<uuid:public_id>/publish/", views.version_publish, name="version_publish"),
    path(
        "formulary/versions/<uuid:public_id>/entries/<uuid:ingredient_id>/switch/",
        views.entry_switch,
        name="entry_switch",
    ),
    path(
        "formulary/versions/<uuid:public_id>/entries/<uuid:ingredient_id>/confirm/",
        views.entry_confirm,
        name="entry_confirm",
    ),
    path("patients/<uuid:public_id>/plans/new/", views.plan_new, name="plan_new"),
    path("patients/<uuid:public_id>/statements/", settling_views.statements, name="statements"),
    path("statements/<uuid:public_id>/", settling_views.statement, name="statement"),
    path("intakes/screening/", screening_preview.screening_preview, name="screening_preview"),
    path("plans/<uuid:public_id>/", views.plan, name="plan"),
    path("plans/<uuid:public_id>/edit/", views.plan_edit, name="plan_edit"),
    path("plans/<uuid:public_id>/explain/", views.plan_explain, name="plan_explain"),
    path("plans/<uuid:public_id>/change/", views.plan_change, name="plan_change"),
    path("plans/<uuid:public_id>/what-if/", views.plan_what_if, name="plan_what_if"),
    path("plans/<uuid:public_id>/presence/", views.plan_presence, name="plan_presence"),
    path("plans/<uuid:public_id>/undo/", views.plan_undo, name="plan_undo"),
    path("plans/<uuid:public_id>/severity/", views.plan_insist, name="plan_insist"),
    path("plans/<uuid:public_id>/acknowledge/", views.plan_acknowledge, name="plan_acknowledge"),
    path("plans/<uuid:public_id>/answer/", views.plan_answer, name="plan_answer"),
    path("plans/<uuid:public_id>/sign/", views.plan_sign, name="plan_sign"),
    path("plans/<uuid:public_id>/discard/", views.plan_discard, name="plan_discard"),
    path("plans/<uuid:public_id>/take-over/", views.plan_take_over, name="plan_take_over"),
    path("plans/<uuid:public_id>/stop/", views.plan_stop, name="plan_stop"),
    path("plans/<uuid:public_id>/amend/", views.plan_amend, name="plan_amend"),
    path("plans/<uuid:public_id>/cautions/", standing_views.plan_cautions, name="plan_cautions"),
    path("plans/<uuid:public_id>/document/", views.plan_document, name="plan_document"),
]
