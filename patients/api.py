"""Patients over HTTP: the person's own sites only, the same actions as the pages, nothing is ever deleted."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site
from mesoclinic.audit import trail
from patients.actions import register_patient, update_patient
from patients.models import Patient, PatientStatus
from patients.queries import patients_seen_by, patients_visible_to, search


class OwnSiteField(serializers.SlugRelatedField[Site]):
    """A site by its public id; one that is not the person's own does not exist."""

    def get_queryset(self) -> QuerySet[Site]:
        request = self.context.get("request")
        if request is None or not request.user.is_authenticated:  # while the schema is being written
            return Site.objects.none()
        return request.user.sites.all()


class PatientSerializer(serializers.ModelSerializer[Patient]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    number = serializers.CharField(source="display_number", read_only=True, help_text="As shown: P-00342")
    site = OwnSiteField(slug_field="public_id", help_text="Public id of one of your own sites")

    class Meta:
        model = Patient
        fields = (
            "id",
            "number",
            "given_name",
            "family_name",
            "birth_date",
            "sex_at_birth",
            "email",
            "phone",
            "language",
            "contact_allowed",
            "site",
            "status",
            "created_at",
        )
        read_only_fields: tuple[str, ...] = ("created_at",)


class ChangedPatientSerializer(PatientSerializer):
    confirmed = serializers.BooleanField(
        default=False, write_only=True, help_text="The consequences that a 409 under “confirmed” named are accepted"
    )
    close_links = serializers.BooleanField(
        default=False, write_only=True, help_text="Close the links that have left in mails to this patient"
    )

    class Meta(PatientSerializer.Meta):
        fields = (*PatientSerializer.Meta.fields, "confirmed", "close_links")  # type: ignore[assignment]


class NewPatientSerializer(PatientSerializer):
    class Meta(PatientSerializer.Meta):
        read_only_fields = ("created_at", "status")


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("search", str, description="Name, phone, e-mail, birth date or number; from 3 letters"),
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
        update_patient(
            patient=patient,
            confirmed=changes.pop("confirmed", False),
            close_links=changes.pop("close_links", False),
            changes=changes,
            by=request.user,
        )
        return Response(self.get_serializer(patient).data)
