"""The ingredients of the formulary in force over HTTP."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from mesoclinic.accounts.access import Permission
from protocols.formulary.catalogue import Catalogue, Row, matching
from protocols.formulary.queries import formulary_in_force
from protocols.formulary.words import STATUS_NAMES
from protocols.models import FormularyEntry

UUID_PATTERN = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class EvidenceSerializer(serializers.Serializer[Any]):
    """What an ingredient is used for: habit (strength) apart from evidence (grade and direction)."""

    concern = serializers.CharField(source="key")
    label = serializers.CharField()
    strength = serializers.IntegerField(help_text="1 to 3: how strongly practice ties it to the concern; not evidence")
    evidence_grade = serializers.CharField(source="grade")
    direction = serializers.CharField(source="direction_key")
    note = serializers.CharField()
    first_choice = serializers.BooleanField()
    notice = serializers.CharField(
        source="label_only", help_text="Set where the claim rests on the web article, or on habit, alone"
    )
    sources = serializers.SerializerMethodField()

    def get_sources(self, line: Any) -> list[str]:
        return [source.key for source in line.sources]


class LimitsSerializer(serializers.Serializer[Any]):
    volume_min_ml = serializers.CharField()
    volume_usual_ml = serializers.CharField()
    volume_max_ml = serializers.CharField()
    dose_min = serializers.CharField()
    dose_usual = serializers.CharField()
    dose_max = serializers.CharField()
    dose_unit = serializers.CharField()


class IngredientSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="entry.ingredient.public_id")
    key = serializers.CharField()
    name = serializers.CharField()
    ingredient_class = serializers.CharField(source="entry.ingredient_class")
    role = serializers.CharField()
    is_active = serializers.BooleanField(source="entry.is_active")
    prescription_only = serializers.BooleanField(source="entry.prescription_only")
    confirmation_required = serializers.BooleanField(source="entry.confirmation_required")
    confirmed_at = serializers.DateTimeField(source="entry.confirmed_at")
    stock = serializers.CharField(
        source="stock_with_points", help_text="Concentration and container that doses are reckoned with"
    )
    per_session = serializers.SerializerMethodField()
    concerns = EvidenceSerializer(many=True)

    @extend_schema_field(LimitsSerializer)
    def get_per_session(self, row: Row) -> dict[str, str]:
        names = ("min", "usual", "max")
        volumes = {f"volume_{name}_ml": value for name, value in zip(names, row.amounts.volumes, strict=True)}
        doses = {f"dose_{name}": value for name, value in zip(names, row.amounts.doses, strict=True)}
        return volumes | doses | {"dose_unit": row.amounts.dose_unit}


class RuleSerializer(serializers.Serializer[Any]):
    rule = serializers.CharField(source="key")
    severity = serializers.CharField()
    message = serializers.CharField()
    until = serializers.CharField()


class PairSerializer(serializers.Serializer[Any]):
    pair = serializers.CharField(source="key")
    others = serializers.CharField(source="name")
    severity = serializers.CharField()
    scope = serializers.CharField()
    rationale = serializers.CharField()


class IngredientDetailSerializer(IngredientSerializer):
    rules = serializers.SerializerMethodField()
    pairs = serializers.SerializerMethodField()
    formulary = serializers.SerializerMethodField()

    @extend_schema_field(RuleSerializer(many=True))
    def get_rules(self, row: Row) -> list[Any]:
        return list(RuleSerializer(self.context["contents"].rule_lines(row.key), many=True).data)

    @extend_schema_field(PairSerializer(many=True))
    def get_pairs(self, row: Row) -> list[Any]:
        return list(PairSerializer(self.context["contents"].pair_lines(row.key), many=True).data)

    def get_formulary(self, row: Row) -> str:
        return row.entry.version.label


@extend_schema_view(
    list=extend_schema(
        responses=IngredientSerializer(many=True),
        parameters=[
            OpenApiParameter("q", str, description="Part of the name"),
            OpenApiParameter("kind", str, description="Class"),
            OpenApiParameter("concern", str),
            OpenApiParameter("grade", str, enum=list("ABCDE")),
            OpenApiParameter("status", str, enum=list(STATUS_NAMES)),
        ],
    ),
    retrieve=extend_schema(responses=IngredientDetailSerializer),
)
class IngredientViewSet(viewsets.GenericViewSet[FormularyEntry]):
    """The ingredients of the formulary in force; empty while none is."""

    serializer_class = IngredientSerializer
    queryset = FormularyEntry.objects.none()  # what the schema reads
    lookup_field = "public_id"
    lookup_url_kwarg = "id"
    lookup_value_regex = UUID_PATTERN
    filter_backends: ClassVar[list[Any]] = []
    access: ClassVar[dict[str, Permission]] = {"GET": Permission.FORMULARY_READ}

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        version = formulary_in_force()
        rows = Catalogue(version).rows() if version else []
        asked = {name: request.query_params.get(name, "") for name in ("q", "kind", "concern", "grade", "status")}
        if asked["status"] not in STATUS_NAMES:
            asked["status"] = ""
        page = self.paginate_queryset(matching(rows, **asked))
        return self.get_paginated_response(IngredientSerializer(page, many=True).data)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        version = formulary_in_force()
        entry = (
            version.entries.select_related("ingredient", "version")
            .defer("version__documents")
            .filter(ingredient__public_id=kwargs["id"])
            .first()
            if version
            else None
        )
        if version is None or entry is None:
            raise Http404
        contents = Catalogue(version)
        return Response(IngredientDetailSerializer(contents.row(entry), context={"contents": contents}).data)
