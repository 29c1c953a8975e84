"""The ``standing`` of every API answer that names a patient: may the person be treated, and why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from patients.models import Patient


class StandingReasonSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    severity = serializers.ChoiceField(["absolute", "exclude", "caution"])
    rule = serializers.CharField(help_text="Key of the formulary's rule, or the kind where no formulary has one")
    message = serializers.CharField()
    answer = serializers.CharField(allow_blank=True, help_text="What was said; empty where you may not read it")
    where = serializers.CharField(allow_blank=True)
    said_by = serializers.CharField(allow_blank=True)
    said_at = serializers.DateTimeField(allow_null=True)
    source = serializers.CharField(allow_blank=True)
    lifts = serializers.CharField()


class StandingSerializer(serializers.Serializer[Any]):
    """Computed at the moment of the answer, never kept."""

    state = serializers.ChoiceField(
        ["clear", "cautions", "stop", "unknown"], help_text="unknown: there is no submitted intake yet"
    )
    day = serializers.DateField()
    reasons = StandingReasonSerializer(many=True)


def as_patient(row: Any) -> tuple[Patient, Any, Any]:
    return row, None, None


@extend_schema_field(StandingSerializer)
class StandingField(serializers.Field[Any, Any, Any, Any]):
    """For a whole list it is asked once. ``asked`` gives (patient, plan or None, day or None) of a row."""

    def __init__(self, *, asked: Callable[[Any], tuple[Patient, Any, Any]] = as_patient, **kwargs: Any) -> None:
        super().__init__(source="*", read_only=True, **kwargs)
        self.asked = asked

    def to_representation(self, row: Any) -> Any:
        found = getattr(self.root, "standings_by_row", None)
        if found is None or row.pk not in found:
            instance = self.root.instance
            rows = list(instance) if isinstance(instance, list | tuple | QuerySet) else [row]
            request = self.context.get("request")
            answers = import_string(settings.STANDING_ANSWERS)(
                [self.asked(each) for each in rows], user=request.user if request else None
            )
            found = {each.pk: answer for each, answer in zip(rows, answers, strict=True)}
            self.root.standings_by_row = found
        return StandingSerializer(found[row.pk]).data
