"""Ingredients, proposals and plans over HTTP: the same reads, checks and actions as the pages. Nothing is signed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from mesoclinic.accounts.access import Permission
from mesoclinic.audit import trail
from patients.api.standing_field import StandingField
from patients.models import Patient
from patients.queries import patients_visible_to
from protocols.actions.drafts import create_plan, edit_plan, undo_edit
from protocols.actions.refusals import EditCannotBeSigned, RefusedEdits
from protocols.api.ingredients import UUID_PATTERN
from protocols.engine.edits import EDIT_FIELDS, MOST_EDITS
from protocols.models import Plan
from protocols.models.enums import EditReason, PlanStatus
from protocols.pages.disagreements import in_sentences
from protocols.plans.computing import Disagreement, shown_answer, verified
from protocols.plans.queries import obstacles_to_signing, plans_visible_to


@extend_schema_field(OpenApiTypes.UUID)
class OwnPatientField(serializers.SlugRelatedField[Patient]):
    """A patient by public id; one of another site does not exist."""

    def get_queryset(self) -> QuerySet[Patient]:
        request = self.context.get("request")
        if request is None or not request.user.is_authenticated:  # while the schema is being written
            return Patient.objects.none()
        return patients_visible_to(request.user)


class NewPlanSerializer(serializers.Serializer[Any]):
    patient = OwnPatientField(slug_field="public_id")


class NewEditSerializer(serializers.Serializer[Any]):
    """An edit by hand, for the schema; the engine itself reads what it does and names every limit that it breaks."""

    op = serializers.ChoiceField(choices=list(EDIT_FIELDS))
    ingredient = serializers.CharField(required=False)
    volume_ml = serializers.CharField(required=False, help_text="With set_volume")
    sessions = serializers.IntegerField(required=False, help_text="With set_sessions")
    schedule = serializers.CharField(required=False, help_text="With set_schedule")
    reason = serializers.ChoiceField(
        choices=EditReason.choices,
        required=False,
        help_text="Why; asked for before the plan is signed where the edit leads away from what was proposed",
    )
    note = serializers.CharField(required=False, max_length=500, help_text="Needed where the reason is “other”")

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        return fields | {"with": serializers.CharField(required=False, help_text="With swap")}


class NewEditsSerializer(serializers.Serializer[Any]):
    revision = serializers.IntegerField(min_value=0, help_text="Of the draft as it was read; an older one is refused")
    edits = NewEditSerializer(many=True)


class ReadEditsSerializer(serializers.Serializer[Any]):
    """What is sent, as far as it has to be read before the action and the engine judge it."""

    revision = serializers.IntegerField(min_value=0)
    edits = serializers.ListField(child=serializers.DictField(), allow_empty=False, max_length=MOST_EDITS)


def _standing_of(plan: Plan) -> tuple[Patient, Plan | None, None]:
    """By this plan where it is in force, else by what is."""
    return plan.patient, plan if plan.status in PlanStatus.IN_FORCE else None, None


class PlanSerializer(serializers.ModelSerializer[Plan]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    patient = serializers.UUIDField(source="patient.public_id", read_only=True)
    intake = serializers.UUIDField(source="intake.public_id", read_only=True)
    formulary = serializers.CharField(source="formulary.label", read_only=True)
    supersedes = serializers.UUIDField(source="supersedes.public_id", read_only=True, default=None, allow_null=True)
    responsible = serializers.CharField(source="responsible.name", read_only=True)
    signed_by = serializers.CharField(source="signed_by.name", read_only=True, default=None, allow_null=True)

    standing = StandingField(asked=_standing_of)

    class Meta:
        model = Plan
        fields: tuple[str, ...] = (
            "id",
            "patient",
            "number",
            "version",
            "status",
            "kind",
            "intake",
            "formulary",
            "supersedes",
            "responsible",
            "created_at",
            "signed_at",
            "signed_by",
            "signature_sha256",
            "standing",
        )
        read_only_fields = fields


class RevisionSerializer(serializers.Serializer[Any]):
    revision = serializers.IntegerField(min_value=0, help_text="Of the draft as it was read; an older one is refused")


class DisagreementSerializer(serializers.Serializer[Any]):
    """A place about which the second calculation says something else, so that the draft cannot be signed."""

    path = serializers.CharField()
    ingredient = serializers.CharField(help_text="Empty where no one line is meant")
    mixture = serializers.CharField(help_text="Its letter; empty where no one mixture is meant")
    detail = serializers.CharField(help_text="What each calculation says")
    message = serializers.CharField()


def disagreements(plan: Plan, places: Sequence[Disagreement]) -> list[dict[str, str]]:
    return [
        {
            "path": row.path,
            "ingredient": row.ingredient,
            "mixture": row.mixture,
            "detail": row.detail,
            "message": " ".join(in_sentences(plan, [row])),
        }
        for row in places
    ]


class PlanDetailSerializer(PlanSerializer):
    result = serializers.SerializerMethodField(help_text="The answer as it stands or was signed; sentences by language")
    obstacles = serializers.SerializerMethodField(help_text="What still stands between a draft and its signature")
    review_on = serializers.DateField(
        read_only=True, allow_null=True, help_text="Of a signed plan without injections: the day to look again"
    )

    second_calculation = serializers.SerializerMethodField(
        help_text="Where it disagrees with a draft's edits; the last of them can be taken back with undo-edit"
    )

    class Meta(PlanSerializer.Meta):
        fields = (
            *PlanSerializer.Meta.fields,
            "revision",
            "engine_version",
            "case",
            "edits",
            "result",
            "obstacles",
            "review_on",
            "second_calculation",
        )
        read_only_fields = fields

    @extend_schema_field(DisagreementSerializer(many=True))
    def get_second_calculation(self, plan: Plan) -> list[dict[str, str]]:
        return disagreements(plan, verified(plan)) if plan.is_draft and plan.edits else []

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_result(self, plan: Plan) -> dict[str, Any]:
        return shown_answer(plan)

    def get_obstacles(self, plan: Plan) -> list[str]:
        return obstacles_to_signing(plan) if plan.is_draft else []


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("patient", OpenApiTypes.UUID),
            OpenApiParameter("status", str, enum=list(PlanStatus.values)),
        ]
    ),
    retrieve=extend_schema(responses=PlanDetailSerializer),
)
class PlanViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Plan]):
    serializer_class = PlanSerializer
    queryset = Plan.objects.none()  # what the schema reads; see get_queryset
    lookup_field = "public_id"
    lookup_url_kwarg = "id"
    lookup_value_regex = UUID_PATTERN
    filter_backends: ClassVar[list[Any]] = []
    access: ClassVar[dict[str, Permission]] = {"GET": Permission.PLAN_READ, "POST": Permission.PLAN_WRITE}

    def get_queryset(self) -> QuerySet[Plan]:
        if not self.request.user.is_authenticated:
            return Plan.objects.none()
        found = (
            plans_visible_to(self.request.user)
            .select_related("intake", "formulary", "supersedes")
            .defer("formulary__documents")
        )
        if self.action == "list":
            found = found.defer("formulary__documents", "case", "policy", "proposal", "result", "edits")
            if (status := self.request.query_params.get("status", "")) in PlanStatus.values:
                found = found.filter(status=status)
            if patient := self.request.query_params.get("patient", ""):
                found = found.filter(patient__public_id__in=[patient] if _is_uuid(patient) else [])
        return found

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().list(request, *args, **kwargs)
        trail.record(
            "plans.listed", by=request.user, details={"shown": [row["id"] for row in response.data["results"]]}
        )
        return response

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        plan = self.get_object()
        trail.record("plan.viewed", by=request.user, target=plan, patient=plan.patient)
        return Response(PlanDetailSerializer(plan, context=self.get_serializer_context()).data)

    @extend_schema(request=NewPlanSerializer, responses={201: PlanDetailSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A draft from the patient's latest submitted intake. It is signed on its page, never here."""
        typed = NewPlanSerializer(data=request.data, context=self.get_serializer_context())
        typed.is_valid(raise_exception=True)
        plan = create_plan(patient=typed.validated_data["patient"], by=request.user)
        return Response(PlanDetailSerializer(plan, context=self.get_serializer_context()).data, status=201)

    @extend_schema(
        request=NewEditsSerializer,
        responses={
            200: PlanDetailSerializer,
            400: OpenApiResponse(OpenApiTypes.OBJECT, description="{path: [sentence]}, such as edits[0].volume_ml"),
        },
    )
    @action(detail=True, methods=["post"])
    def edits(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Edits by hand to a draft, each with why: all of them or none, held to the same limits as on the page."""
        plan = self.get_object()
        try:
            typed = ReadEditsSerializer(data=request.data)
        except RecursionError:
            raise ParseError("The edits are nested too deeply.") from None
        typed.is_valid(raise_exception=True)
        try:
            edit_plan(plan=plan, by=request.user, **typed.validated_data)
        except RefusedEdits as refusal:
            return Response(refusal.errors, status=refusal.status)
        except EditCannotBeSigned as refusal:
            said = {"edits": [str(refusal)], "second_calculation": disagreements(plan, refusal.places)}
            return Response(said, status=refusal.status)
        return Response(PlanDetailSerializer(plan, context=self.get_serializer_context()).data)

    @extend_schema(request=RevisionSerializer, responses={200: PlanDetailSerializer})
    @action(detail=True, methods=["post"], url_path="undo-edit")
    def undo_edit(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Take back the last edit of a draft, such as one that the second calculation does not agree with."""
        plan = self.get_object()
        typed = RevisionSerializer(data=request.data)
        typed.is_valid(raise_exception=True)
        undo_edit(plan=plan, by=request.user, **typed.validated_data)
        return Response(PlanDetailSerializer(plan, context=self.get_serializer_context()).data)


def _is_uuid(text: str) -> bool:
    return re.fullmatch(UUID_PATTERN, text) is not None
