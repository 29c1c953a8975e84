"""Ingredients, proposals and plans over HTTP: the same reads, checks and actions as the pages. Nothing is signed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.utils import translation
from django.utils.translation import gettext as _
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
from rest_framework.views import APIView

from mesoclinic.accounts.access import Permission
from mesoclinic.audit import trail
from patients.api.standing_field import StandingField
from patients.intake.answers import UNKNOWN
from patients.intake.measures import checked_measure
from patients.models import Patient
from patients.queries import patients_visible_to
from patients.vocabulary import Fact, load_vocabulary
from protocols.actions.drafts import create_plan, edit_plan, undo_edit
from protocols.actions.refusals import EditCannotBeSigned, RefusedEdits
from protocols.engine import CaseError, Formulary, Policy, parse_case
from protocols.engine.edits import EDIT_FIELDS, MOST_EDITS
from protocols.engine.policy import read_decimal
from protocols.engine.schema import ANSWER_SCHEMA
from protocols.formulary.catalogue import Catalogue, Row, matching
from protocols.formulary.queries import built_formulary, formulary_in_force, required_formulary
from protocols.formulary.words import STATUS_NAMES
from protocols.models import FormularyEntry, Plan
from protocols.models.enums import EditReason, PlanStatus
from protocols.pages.disagreements import in_sentences
from protocols.plans.computing import Disagreement, clinic_policy, shown, verified
from protocols.plans.proposing import COMPARISON_SCHEMA, answer, named_changes
from protocols.plans.queries import obstacles_to_signing, plans_visible_to
from protocols.words.faults import fault_message

UUID_PATTERN = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

# ------------------------------------------------------------------ ingredients


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
        return RuleSerializer(self.context["contents"].rule_lines(row.key), many=True).data

    @extend_schema_field(PairSerializer(many=True))
    def get_pairs(self, row: Row) -> list[Any]:
        return PairSerializer(self.context["contents"].pair_lines(row.key), many=True).data

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


# ------------------------------------------------------------------ proposals


class CaseSerializer(serializers.Serializer[Any]):
    """A case, for the schema; the engine itself reads it and names every fault at its place."""

    facts = serializers.DictField(
        help_text="Answers by fact; a fact that is absent or “unknown” was not answered. A measured value is a number "
        "in the unit that is stored, or {value, unit}"
    )
    concerns = serializers.ListField(child=serializers.DictField(), help_text="[{concern, severity}]")
    zones = serializers.ListField(help_text="Zones, or {zone, area_cm2}")
    formulary_overrides = serializers.DictField(required=False)
    policy = serializers.DictField(required=False)
    stock = serializers.DictField(required=False, help_text="mL available by ingredient; absent = not considered")
    waived = serializers.DictField(required=False)


class ProposalView(APIView):
    """What the engine proposes for a case, under the formulary in force and the clinic's policy. Nothing is stored."""

    access: ClassVar[dict[str, Permission]] = {"POST": Permission.PLAN_READ}

    @extend_schema(
        request=CaseSerializer,
        responses={
            200: OpenApiResponse(OpenApiTypes.OBJECT, description="The answer: proposed, blocked or incomplete"),
            400: OpenApiResponse(OpenApiTypes.OBJECT, description="{path: [sentence]}, one entry per faulty place"),
        },
        operation_id="proposals_create",
    )
    def post(self, request: Request) -> Response:
        try:
            case = request.data
        except RecursionError:
            raise ParseError("The case is nested too deeply.") from None
        formulary, policy = built_formulary(required_formulary()), clinic_policy()
        case, doubtful = in_stored_units(case)
        if doubtful:
            return Response(doubtful, status=400)
        try:
            found = answer(case, formulary=formulary, policy=policy, language=request.user.language)
        except CaseError as error:
            return Response(faults_by_path(error), status=400)
        if beyond := beyond_the_clinic(case, formulary=formulary, policy=policy):
            return Response(beyond, status=400)
        return Response(found)


class ComparisonSerializer(serializers.Serializer[Any]):
    """Two cases, for the schema; the engine itself reads them."""

    old = CaseSerializer()
    new = CaseSerializer()


class ComparisonView(APIView):
    """What if: the proposals for two cases side by side, and each difference named. Nothing is stored."""

    access: ClassVar[dict[str, Permission]] = {"POST": Permission.PLAN_READ}

    @extend_schema(
        request=ComparisonSerializer,
        responses={
            200: OpenApiResponse(OpenApiTypes.OBJECT, description="old, new: answers; changes: [{code, params, text}]"),
            400: OpenApiResponse(OpenApiTypes.OBJECT, description="{path: [sentence]}; a path begins with old or new"),
        },
        operation_id="proposals_compare",
    )
    def post(self, request: Request) -> Response:
        try:
            sent = request.data
        except RecursionError:
            raise ParseError("The cases are nested too deeply.") from None
        formulary, policy = built_formulary(required_formulary()), clinic_policy()
        if not isinstance(sent, Mapping) or set(sent) != {"old", "new"}:
            return Response({"": ["Send two cases, as “old” and “new”."]}, status=400)
        answers: dict[str, Any] = {}
        faults: dict[str, list[str]] = {}
        for side in ("old", "new"):
            case, found = in_stored_units(sent[side])
            try:
                if not found:
                    answers[side] = answer(case, formulary=formulary, policy=policy, language=request.user.language)
                    found = beyond_the_clinic(case, formulary=formulary, policy=policy)
            except CaseError as error:
                found = faults_by_path(error)
            faults |= {f"{side}.{path}".rstrip("."): said for path, said in found.items()}
        if faults:
            return Response(faults, status=400)
        with translation.override(request.user.language):
            changes = named_changes(answers["old"], answers["new"], formulary)
        return Response({**answers, "changes": changes})


class AnswerSchemaView(APIView):
    """The JSON Schema of an answer, and of a comparison of two."""

    access: ClassVar[dict[str, Permission]] = {"GET": Permission.PLAN_READ}

    @extend_schema(responses=OpenApiTypes.OBJECT, operation_id="proposals_schema")
    def get(self, request: Request) -> Response:
        return Response({"answer": ANSWER_SCHEMA, "comparison": COMPARISON_SCHEMA})


def in_stored_units(case: Any) -> tuple[Any, dict[str, list[str]]]:
    """The case with its measured values in the units that rules read, and what is in doubt: {path: [sentence]}.

    A value comes as a number in the stored unit or as {"value": number, "unit": unit}. What is no number at all, or
    outside what can be stored, is left to the engine, which names it.
    """
    facts = case.get("facts") if isinstance(case, Mapping) else None
    if not isinstance(facts, Mapping):
        return case, {}
    read, doubtful = dict(facts), {}
    for key, value in facts.items():
        fact = load_vocabulary().facts.get(key) if isinstance(key, str) else None
        given: Any = read_decimal(value)
        if isinstance(value, Mapping) and value != UNKNOWN:
            given = {**value, "value": read_decimal(value.get("value"))}
        if fact is None or not fact.units or given is None:
            continue
        if isinstance(given, Decimal) and not _in_doubt(fact, given):
            continue  # as it is sent: what is wrong with it the engine says
        try:
            read[key] = checked_measure(fact, given)
        except ValueError as refusal:
            doubtful[f"facts.{key}"] = [str(refusal)]
    return {**case, "facts": read}, doubtful


def _in_doubt(fact: Fact, number: Decimal) -> bool:
    """Whether a number that could be stored is none that a body can have in the stored unit."""
    least, most = fact.minimum or Decimal(0), fact.maximum or Decimal(0)
    return least <= number <= most and not fact.units[0].holds(number)


def faults_by_path(error: CaseError) -> dict[str, list[str]]:
    """{path: [sentence]}: every fault of a case, where it is."""
    faults: dict[str, list[str]] = {}
    for fault in error.faults:
        faults.setdefault(fault.path, []).append(fault_message(fault))
    return faults


def beyond_the_clinic(case: Any, *, formulary: Formulary, policy: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a sound case asks for beyond what the clinic allows: ingredients switched off, wider limits."""
    read = parse_case(case, formulary)
    found: dict[str, list[str]] = {}
    if off := [key for key in read.activate if not formulary.ingredients[key].active]:
        found["formulary_overrides.activate"] = [
            _("The formulary in force has this switched off: %(names)s.") % {"names": ", ".join(off)}
        ]
    clinic = Policy.from_mapping(policy, formulary)
    for name in clinic.overridden(read.policy, formulary).wider_than(clinic):
        found[f"policy.{name}"] = [_("This is wider than the clinic's own limit.")]
    return found


# ------------------------------------------------------------------ plans


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
        return super().get_fields() | {"with": serializers.CharField(required=False, help_text="With swap")}


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
        return shown(plan)

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
