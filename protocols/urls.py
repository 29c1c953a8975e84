"""The addresses of the pages of the formulary and of plans."""

from django.urls import path

from protocols.views import plan as views
from protocols.views import screening_preview
from protocols.views import settling as settling_views
from protocols.views import standing as standing_views
from protocols.views.answers import plan_acknowledge, plan_answer, plan_what_if
from protocols.views.decisions import plan_amend, plan_discard, plan_document, plan_sign, plan_stop, plan_take_over
from protocols.views.edits import plan_change, plan_edit, plan_explain, plan_insist, plan_undo
from protocols.views.formulary import (
    catalogue,
    claims,
    entry_confirm,
    entry_switch,
    ingredient,
    version,
    version_changes,
    version_new,
    version_publish,
    versions,
)

app_name = "protocols"
urlpatterns = [
    path("formulary/", catalogue, name="catalogue"),
    path("formulary/ingredients/<uuid:public_id>/", ingredient, name="ingredient"),
    path("formulary/claims/", claims, name="claims"),
    path("formulary/versions/", versions, name="versions"),
    path("formulary/versions/new/", version_new, name="version_new"),
    path("formulary/versions/<uuid:public_id>/", version, name="version"),
    path("formulary/versions/<uuid:public_id>/changes/", version_changes, name="version_changes"),
    path("formulary/versions/<uuid:public_id>/publish/", version_publish, name="version_publish"),
    path(
        "formulary/versions/<uuid:public_id>/entries/<uuid:ingredient_id>/switch/",
        entry_switch,
        name="entry_switch",
    ),
    path(
        "formulary/versions/<uuid:public_id>/entries/<uuid:ingredient_id>/confirm/",
        entry_confirm,
        name="entry_confirm",
    ),
    path("patients/<uuid:public_id>/plans/new/", views.plan_new, name="plan_new"),
    path("patients/<uuid:public_id>/statements/", settling_views.statements, name="statements"),
    path("statements/<uuid:public_id>/", settling_views.statement, name="statement"),
    path("intakes/screening/", screening_preview.screening_preview, name="screening_preview"),
    path("plans/<uuid:public_id>/", views.plan, name="plan"),
    path("plans/<uuid:public_id>/edit/", plan_edit, name="plan_edit"),
    path("plans/<uuid:public_id>/explain/", plan_explain, name="plan_explain"),
    path("plans/<uuid:public_id>/change/", plan_change, name="plan_change"),
    path("plans/<uuid:public_id>/what-if/", plan_what_if, name="plan_what_if"),
    path("plans/<uuid:public_id>/presence/", views.plan_presence, name="plan_presence"),
    path("plans/<uuid:public_id>/undo/", plan_undo, name="plan_undo"),
    path("plans/<uuid:public_id>/severity/", plan_insist, name="plan_insist"),
    path("plans/<uuid:public_id>/acknowledge/", plan_acknowledge, name="plan_acknowledge"),
    path("plans/<uuid:public_id>/answer/", plan_answer, name="plan_answer"),
    path("plans/<uuid:public_id>/sign/", plan_sign, name="plan_sign"),
    path("plans/<uuid:public_id>/discard/", plan_discard, name="plan_discard"),
    path("plans/<uuid:public_id>/take-over/", plan_take_over, name="plan_take_over"),
    path("plans/<uuid:public_id>/stop/", plan_stop, name="plan_stop"),
    path("plans/<uuid:public_id>/amend/", plan_amend, name="plan_amend"),
    path("plans/<uuid:public_id>/cautions/", standing_views.plan_cautions, name="plan_cautions"),
    path("plans/<uuid:public_id>/document/", plan_document, name="plan_document"),
]
