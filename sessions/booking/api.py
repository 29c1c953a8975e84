"""Appointments over HTTP: the person's own sites only, the same actions as the pages, nothing is ever deleted."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from patients.api.standing_field import StandingField
from patients.models import Patient
from protocols.models import Plan
from sessions.booking.actions import book_appointment, cancel_appointment
from sessions.booking.changes import open_change
from sessions.booking.move import Target, move_appointment
from sessions.booking.overbook import Overbook
from sessions.booking.undo import mail_words, undo_change
from sessions.models import Appointment, AppointmentStatus, OverbookReason, Room
from sessions.queries import appointments_visible_to, bookable_plans_visible_to
from sessions.sites.queries import practitioners_of


def _standing_of(visit: Appointment) -> tuple[Patient, Plan, date]:
    return visit.patient, visit.course.plan, visit.starts_at.astimezone(visit.site.tz).date()


class AppointmentSerializer(serializers.ModelSerializer[Appointment]):
    """A booked time. ``starts_at`` and ``ends_at`` carry the offset of the site's wall time."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    plan = serializers.UUIDField(source="course.plan.public_id", read_only=True)
    patient = serializers.UUIDField(source="patient.public_id", read_only=True)
    practitioner = serializers.UUIDField(source="practitioner.public_id", read_only=True)
    practitioner_name = serializers.CharField(source="practitioner.name", read_only=True)
    room = serializers.UUIDField(source="room.public_id", read_only=True)
    room_name = serializers.CharField(source="room.name", read_only=True)
    site = serializers.UUIDField(source="site.public_id", read_only=True)
    time_zone = serializers.CharField(source="site.time_zone", read_only=True)
    starts_at = serializers.SerializerMethodField()
    ends_at = serializers.SerializerMethodField()
    sequence = serializers.IntegerField(read_only=True, help_text="Of the invitation; rises with each change")
    overbook_reason = serializers.ChoiceField(
        OverbookReason.choices, read_only=True, allow_blank=True, help_text="Empty where it is not overbooked"
    )

    standing = StandingField(asked=_standing_of)

    class Meta:
        model = Appointment
        fields = (
            "id",
            "plan",
            "number",
            "patient",
            "practitioner",
            "practitioner_name",
            "room",
            "room_name",
            "site",
            "time_zone",
            "starts_at",
            "ends_at",
            "prepare_minutes",
            "cleanup_minutes",
            "status",
            "sequence",
            "overbooked",
            "overbook_reason",
            "overbook_note",
            "standing",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.DateTimeField())
    def get_starts_at(self, visit: Appointment) -> str:
        return visit.starts_at.astimezone(visit.site.tz).isoformat()

    @extend_schema_field(serializers.DateTimeField())
    def get_ends_at(self, visit: Appointment) -> str:
        return visit.ends_at.astimezone(visit.site.tz).isoformat()


class UndoneSerializer(serializers.Serializer[Any]):
    """What was put back, and what becomes of the mail about it, in words."""

    appointments = AppointmentSerializer(many=True)
    mail = serializers.CharField()


class WithOffset(serializers.DateTimeField):
    """An instant that says its offset: without one nobody can know whose nine o'clock it is."""

    def to_internal_value(self, value: Any) -> datetime:
        if isinstance(value, str) and not (value.endswith(("Z", "z")) or _has_offset(value)):
            raise serializers.ValidationError(_("Write the time with its offset from UTC."))
        read: datetime = super().to_internal_value(value)
        return read


class MoveSerializer(serializers.Serializer[Any]):
    """A new time for an appointment. Practitioner and room stay where they are not named."""

    starts_at = WithOffset(help_text="With its offset, for example 2026-12-01T09:00:00+01:00")
    sequence = serializers.IntegerField(min_value=0, max_value=32767, help_text="Of the appointment as you read it")
    rest = serializers.ChoiceField(
        [("keep", "keep"), ("shift", "shift"), ("plan", "plan")],
        default="keep",
        help_text="What becomes of the later sessions: they stay, move by as many days, or are planned again",
    )
    practitioner = serializers.UUIDField(required=False)
    room = serializers.UUIDField(required=False)
    reason = serializers.CharField(
        required=False, allow_blank=True, max_length=300, help_text="Why it may leave the plan's window"
    )


class NewAppointmentSerializer(serializers.Serializer[Any]):
    """One session of a signed plan at one time. Its length comes from the plan."""

    plan = serializers.UUIDField()
    number = serializers.IntegerField(min_value=1, max_value=5, help_text="Session n of the course")
    practitioner = serializers.UUIDField()
    room = serializers.UUIDField()
    starts_at = WithOffset(help_text="With its offset, for example 2026-12-01T09:00:00+01:00")
    overbook_reason = serializers.ChoiceField(
        OverbookReason.choices, required=False, help_text="Book it over a time that is taken; needs its own permission"
    )
    overbook_note = serializers.CharField(required=False, allow_blank=True, max_length=200)
    standing_reason = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=500,
        help_text="Why somebody who signs plans books although the patient's standing is a stop",
    )


def _has_offset(text: str) -> bool:
    clock = text.replace(" ", "T").partition("T")[2]
    return "+" in clock or "-" in clock


_PARAMETERS = [
    OpenApiParameter("from", {"type": "string", "format": "date"}, description="First day, in the site's wall time"),
    OpenApiParameter("to", {"type": "string", "format": "date"}, description="Last day, itself included"),
    OpenApiParameter("site", {"type": "string", "format": "uuid"}, description="Public id of one of your own sites"),
    OpenApiParameter("patient", {"type": "string", "format": "uuid"}),
    OpenApiParameter("status", str, enum=list(AppointmentStatus.values)),
]


@extend_schema_view(list=extend_schema(parameters=_PARAMETERS))
class AppointmentViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Appointment]):
    serializer_class = AppointmentSerializer
    queryset = Appointment.objects.none()  # what the schema reads; see get_queryset
    lookup_field = "public_id"
    lookup_url_kwarg = "id"
    lookup_value_regex = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    filter_backends: ClassVar[list[Any]] = []
    http_method_names = ("get", "post", "head", "options")
    access: ClassVar[dict[str, Permission]] = {"GET": Permission.BOOKING_READ, "POST": Permission.BOOKING_WRITE}

    def get_queryset(self) -> QuerySet[Appointment]:
        if not self.request.user.is_authenticated:
            return Appointment.objects.none()
        found = (
            appointments_visible_to(self.request.user)
            .select_related("patient", "practitioner", "room", "site", "course__plan")
            .defer(*(f"course__plan__{name}" for name in ("case", "policy", "proposal", "edits", "result")))
            .order_by("starts_at", "pk")
        )
        return self._filtered(found) if self.action == "list" else found

    def _filtered(self, found: QuerySet[Appointment]) -> QuerySet[Appointment]:
        asked = self.request.query_params
        sites = list(self.request.user.sites.all())
        if wanted := asked.get("site"):
            sites = [site for site in sites if str(site.public_id) == wanted]
            found = found.filter(site__in=sites)
        if patient := asked.get("patient"):
            found = found.filter(patient__public_id=_uuid("patient", patient))
        if (status := asked.get("status", "")) in AppointmentStatus.values:
            found = found.filter(status=status)
        first, last = _day("from", asked.get("from")), _day("to", asked.get("to"))
        # Each site has its own midnight.
        zone = (sites[0] if sites else self.request.user.sites.first() or Site(time_zone="UTC")).tz
        if first:
            found = found.filter(starts_at__gte=datetime.combine(first, time.min, tzinfo=zone))
        if last:
            found = found.filter(starts_at__lt=datetime.combine(last + timedelta(days=1), time.min, tzinfo=zone))
        return found

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().list(request, *args, **kwargs)
        shown = [row["id"] for row in response.data["results"]]
        trail.record("appointments.listed", by=request.user, details={"shown": shown})
        return response

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        visit = self.get_object()
        trail.record("appointment.viewed", by=request.user, target=visit, patient=visit.patient)
        return Response(self.get_serializer(visit).data)

    @extend_schema(request=NewAppointmentSerializer, responses={201: AppointmentSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        typed = NewAppointmentSerializer(data=request.data)
        typed.is_valid(raise_exception=True)
        given = typed.validated_data
        plan = bookable_plans_visible_to(request.user).filter(public_id=given["plan"]).first()
        if plan is None:
            raise InvalidInput(_("There is no signed plan with this id at your sites."), field="plan")
        room = Room.objects.filter(public_id=given["room"], site_id__in=request.user.site_ids, is_active=True).first()
        if room is None:
            raise InvalidInput(_("There is no room with this id at your sites."), field="room")
        visit = book_appointment(
            plan=plan,
            number=given["number"],
            site=room.site,
            practitioner=_practitioner(given["practitioner"], room.site),
            room=room,
            starts_at=given["starts_at"],
            overbook=Overbook(reason=given["overbook_reason"], note=given.get("overbook_note", ""))
            if "overbook_reason" in given
            else None,
            by=request.user,
            standing_reason=given.get("standing_reason", ""),
        )
        return Response(self.get_serializer(visit).data, status=201)

    @extend_schema(request=None, responses={200: AppointmentSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Cancel the appointment: its time is free again, and what was not mailed yet is stopped."""
        visit = cancel_appointment(appointment=self.get_object(), by=request.user)
        return Response(self.get_serializer(visit).data)

    @extend_schema(request=None, responses={200: UndoneSerializer})
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Take back what last cancelled or moved the appointment, within half an hour, with all that it changed.

        Refused with 409 where the time was given away since, the patient may not be treated, or it is too late.
        """
        visit = self.get_object()
        change = open_change(visit, now=timezone.now())
        if change is None:
            raise InvalidTransition(_("There is nothing to undo: it is too late, or somebody has changed it since."))
        undone = undo_change(change=change, by=request.user)
        words = mail_words(undone)
        return Response(
            {"appointments": self.get_serializer(list(undone.visits), many=True).data, "mail": " ".join(words)}
        )

    @extend_schema(request=MoveSerializer, responses={200: AppointmentSerializer(many=True)})
    @action(detail=True, methods=["post"])
    def move(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Give the appointment a new time and treat the rest of its course as asked; every one that moved comes back.

        Refused with 409 where the time is taken, or ``sequence`` is not that of the appointment as it is now.
        """
        visit = self.get_object()
        typed = MoveSerializer(data=request.data)
        typed.is_valid(raise_exception=True)
        given = typed.validated_data
        room = visit.room
        if "room" in given:
            found = Room.objects.filter(public_id=given["room"], site=visit.site, is_active=True).first()
            if found is None:
                raise InvalidInput(_("There is no room with this id at your sites."), field="room")
            room = found
        who = _practitioner(given["practitioner"], visit.site) if "practitioner" in given else visit.practitioner
        visit.sequence = given["sequence"]
        moved = move_appointment(
            appointment=visit,
            target=Target(starts_at=given["starts_at"], practitioner=who, room=room),
            rest=given["rest"],
            reason=given.get("reason", ""),
            by=request.user,
        )
        return Response(self.get_serializer(moved, many=True).data)


def _practitioner(public_id: Any, site: Site) -> User:
    found = practitioners_of(site).filter(public_id=public_id).first()
    if found is None:
        raise InvalidInput(_("Nobody with this id has hours at %(site)s.") % {"site": site}, field="practitioner")
    return found


def _day(name: str, text: str | None) -> Any:
    if not text:
        return None
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None or not 1900 <= day.year < 2200:
        raise InvalidInput(_("Write a day like 2026-11-24."), field=name)
    return day


def _uuid(name: str, text: str) -> Any:
    try:
        return serializers.UUIDField().run_validation(text)
    except serializers.ValidationError:
        raise InvalidInput(_("This is not an id."), field=name) from None
