"""The addresses of ingredients, proposals and plans in the API."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from protocols.api.ingredients import IngredientViewSet
from protocols.api.proposals import AnswerSchemaView, ComparisonView, ProposalView
from protocols.api.views import PlanViewSet

router = SimpleRouter()
router.register("ingredients", IngredientViewSet, basename="api-ingredient")
router.register("plans", PlanViewSet, basename="api-plan")
urlpatterns = [
    path("", include(router.urls)),
    path("proposals/", ProposalView.as_view(), name="api-proposals"),
    path("proposals/compare/", ComparisonView.as_view(), name="api-proposals-compare"),
    path("proposals/schema/", AnswerSchemaView.as_view(), name="api-proposals-schema"),
]
