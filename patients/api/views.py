"""Patients over HTTP: the person's own sites only, the same actions as the pages, nothing is ever deleted."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput
from patients.actions.record import EDITABLE, register_patient, update_patient
from patients.api.standing_field import StandingField
from patients.models import NoneOfThese, Patient, PatientStatus, SettlementOutcome, Statement, StatementKind
from patients.queries import patients_seen_by, patients_visible_to
from patients.search.finding import search
from patients.statements.statements import only_open, person_of, settle_statement, statements_visible_to


class OwnSiteField(serializers.SlugRelatedField[Site]):
    """A site by its public id; one that is not the person's own does not exist."""

    def get_queryset(self) -> QuerySet[Site]:
        request = self.context.get("request")
        if request is None or not request.user.is_authenticated:  # while the schema is being written
            return Site.objects.none()
        mine: QuerySet[Site] = request.user.sites.all()
        return mine


class PatientSerializer(serializers.ModelSerializer[Patient]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    number = serializers.CharField(source="display_number", read_only=True, help_text="As shown: P-00342")
    site = OwnSiteField(slug_field="public_id", help_text="Public id of one of your own sites")
    standing = StandingField()

    class Meta:
        model = Patient
        fields = (
            "id",
            "number",
            *EDITABLE,
            "created_at",
            "revision",
            "standing",
        )
        read_only_fields: tuple[str, ...] = ("created_at", "revision")


class ChangedPatientSerializer(PatientSerializer):
    revision = serializers.IntegerField(
        min_value=0,
        write_only=True,
        help_text="Of the record as it was read; with an older one, a 409 names under “conflicts” what differs",
    )
    confirmed = serializers.BooleanField(
        default=False, write_only=True, help_text="The consequences that a 409 under “confirmed” named are accepted"
    )
    close_links = serializers.BooleanField(
        default=False, write_only=True, help_text="Close the links that have left in mails to this patient"
    )

    class Meta(PatientSerializer.Meta):
        fields = (*PatientSerializer.Meta.fields, "confirmed", "close_links")  # type: ignore[assignment]


class NewPatientSerializer(PatientSerializer):
    key = serializers.UUIDField(
        required=False, write_only=True, help_text="Yours, for this registration: sent again, it gives the same record"
    )
    different_person = serializers.BooleanField(
        default=False, write_only=True, help_text="Not the one of the same name and birth date registered just now"
    )

    class Meta(PatientSerializer.Meta):
        fields = (*PatientSerializer.Meta.fields, "key", "different_person")  # type: ignore[assignment]
        read_only_fields = ("created_at", "revision", "status")


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("search", str, description="Name, phone, e-mail, birth date or number; from 2 letters"),
            OpenApiParameter("status", str, enum=list(PatientStatus.values)),
        ]
    )
)
class PatientViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Patient]):
    serializer_class = PatientSerializer
    queryset = Patient.objects.none()  # what the schema reads; see get_queryset
    lookup_field = "public_id"
    lookup_url_kwarg = "id"
    lookup_value_regex = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    filter_backends: ClassVar[list[Any]] = []
    http_method_names = ("get", "post", "patch", "head", "options")
    access: ClassVar[dict[str, Permission]] = {
        "GET": Permission.PATIENT_READ,
        "POST": Permission.PATIENT_WRITE,
        "PATCH": Permission.PATIENT_WRITE,
    }

    def get_queryset(self) -> QuerySet[Patient]:
        if not self.request.user.is_authenticated:
            return Patient.objects.none()
        found = patients_seen_by(self.request.user)
        if self.action == "list":
            found = patients_visible_to(self.request.user)
            found = search(found, self.request.query_params.get("search", ""))
            if (status := self.request.query_params.get("status", "")) in PatientStatus.values:
                found = found.filter(status=status)
        return found

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().list(request, *args, **kwargs)
        shown = [row["id"] for row in response.data["results"]]
        searched = bool(request.query_params.get("search"))
        trail.record("patients.listed", by=request.user, details={"searched": searched, "shown": shown})
        return response

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        patient = self.get_object()
        trail.record("patient.viewed", by=request.user, target=patient, patient=patient)
        return Response(self.get_serializer(patient).data)

    @extend_schema(request=NewPatientSerializer, responses={201: PatientSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        typed = NewPatientSerializer(data=request.data, context=self.get_serializer_context())
        typed.is_valid(raise_exception=True)
        given = {"email": "", "phone": "", "language": typed.validated_data["site"].language, "contact_allowed": False}
        patient = register_patient(**(given | typed.validated_data), by=request.user)
        return Response(self.get_serializer(patient).data, status=201)

    @extend_schema(request=ChangedPatientSerializer, responses={200: PatientSerializer})
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        patient = self.get_object()
        typed = ChangedPatientSerializer(
            patient, data=request.data, partial=True, context=self.get_serializer_context()
        )
        typed.is_valid(raise_exception=True)
        changes = dict(typed.validated_data)
        if "revision" not in changes:
            raise InvalidInput(_("Send the revision of the record that you read."), field="revision")
        update_patient(
            patient=patient,
            seen=changes.pop("revision"),
            confirmed=changes.pop("confirmed", False),
            close_links=changes.pop("close_links", False),
            changes=changes,
            by=request.user,
        )
        return Response(self.get_serializer(patient).data)


# ------------------------------------------------------------------ what was said in words


class MeaningSerializer(serializers.Serializer[Any]):
    """One answer that words mean: of a list, or of a question."""

    fact = serializers.CharField(max_length=80)
    value = serializers.JSONField(help_text="The value’s key, or true or false for a question of yes or no")


class SettlementSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField(help_text="1 is the first; the highest counts")
    outcome = serializers.ChoiceField(choices=SettlementOutcome.choices)
    facts = MeaningSerializer(many=True)
    reason = serializers.CharField(help_text="Coded, of “none of these”")
    note = serializers.CharField()
    settled_at = serializers.DateTimeField()
    settled_by = serializers.CharField(source="settled_by.name")


class StatementSerializer(serializers.ModelSerializer[Statement]):
    """Something said in words that no answer holds. Open, it stops a signature and a session."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    patient = serializers.SerializerMethodField(help_text="Public id of the record that remains of the person")
    record = serializers.UUIDField(source="patient.public_id", help_text="Public id of the record it was said under")
    text = serializers.CharField(source="words")
    state = serializers.ChoiceField(choices=["open", "settled"])
    said_by = serializers.CharField(source="said_by.name", default=None, help_text="null: the patient, by link")
    settlements = serializers.SerializerMethodField()

    class Meta:
        model = Statement
        fields = (
            "id",
            "patient",
            "record",
            "kind",
            "text",
            "about",
            "source",
            "source_id",
            "said_at",
            "said_by",
            "state",
            "settlements",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.UUIDField)
    def get_patient(self, statement: Statement) -> str:
        return str(person_of(statement.patient).public_id)

    @extend_schema_field(SettlementSerializer(many=True))
    def get_settlements(self, statement: Statement) -> list[dict[str, Any]]:
        rows = sorted(statement.settlements.all(), key=lambda row: row.number)
        return list(SettlementSerializer(rows, many=True).data)


class SettleSerializer(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(choices=SettlementOutcome.choices)
    facts = MeaningSerializer(many=True, required=False, help_text="With outcome “fact”: what the words mean")
    reason = serializers.ChoiceField(
        choices=NoneOfThese.choices, required=False, help_text="With outcome “none_of_these”"
    )
    note = serializers.CharField(
        max_length=300, required=False, allow_blank=True, help_text="Needed to correct a settlement: why"
    )


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("patient", str, description="Public id of a patient: under all records of the person"),
            OpenApiParameter("state", str, enum=["open"], description="Only what nobody has settled"),
            OpenApiParameter("kind", str, enum=list(StatementKind.values)),
        ]
    )
)
class StatementViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Statement]):
    serializer_class = StatementSerializer
    queryset = Statement.objects.none()  # what the schema reads; see get_queryset
    lookup_field = "public_id"
    lookup_url_kwarg = "id"
    lookup_value_regex = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    filter_backends: ClassVar[list[Any]] = []
    http_method_names = ("get", "post", "head", "options")
    access: ClassVar[dict[str, Permission]] = {"GET": Permission.INTAKE_READ, "POST": Permission.PLAN_SIGN}

    def get_queryset(self) -> QuerySet[Statement]:
        if not self.request.user.is_authenticated:
            return Statement.objects.none()
        found = statements_visible_to(self.request.user).order_by("said_at", "pk")
        if self.action != "list":
            return found
        asked = self.request.query_params
        if patient := asked.get("patient"):
            found = found.filter(patient__in=_records_named(patient))
        if asked.get("state") == "open":
            found = only_open(found)
        if (kind := asked.get("kind", "")) in StatementKind.values:
            found = found.filter(kind=kind)
        return found

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().list(request, *args, **kwargs)
        shown = [str(row["id"]) for row in response.data["results"]]
        trail.record("statements.listed", by=request.user, details={"shown": shown})
        return response

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        statement = self.get_object()
        trail.record("statement.viewed", by=request.user, target=statement, patient=statement.patient)
        return Response(self.get_serializer(statement).data)

    @extend_schema(request=SettleSerializer, responses={200: StatementSerializer})
    @action(detail=True, methods=["post"])
    def settle(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Say what the words mean, or that they mean none of these. A correction says why."""
        statement = self.get_object()
        typed = SettleSerializer(data=request.data)
        typed.is_valid(raise_exception=True)
        settle_statement(statement=statement, **typed.validated_data, by=request.user)
        return Response(self.get_serializer(self.get_queryset().get(pk=statement.pk)).data)


def _records_named(public_id: str) -> QuerySet[Patient]:
    """The records of the person with this id; none where it is no id."""
    try:
        named = Patient.objects.filter(public_id=UUID(public_id))
    except ValueError:
        return Patient.objects.none()
    return Patient.objects.filter(Q(pk__in=named) | Q(merged_into__in=named) | Q(merged_records__in=named)).distinct()
