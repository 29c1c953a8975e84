"""Proposals and comparisons over HTTP: a case is sent, an answer comes back, nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from django.utils import translation
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mesoclinic.accounts.access import Permission
from patients.intake.answers import UNKNOWN
from patients.intake.measures import checked_measure
from patients.vocabulary import Fact, load_vocabulary
from protocols.engine import CaseError, Formulary, Policy, parse_case
from protocols.engine.inputs.policy import read_decimal
from protocols.engine.schema import ANSWER_SCHEMA
from protocols.formulary.queries import built_formulary, required_formulary
from protocols.plans.computing import clinic_policy
from protocols.plans.proposing import COMPARISON_SCHEMA, answer_case, named_changes
from protocols.words.faults import fault_message


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
            found = answer_case(case, formulary=formulary, policy=policy, language=request.user.language)
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
                    answers[side] = answer_case(
                        case, formulary=formulary, policy=policy, language=request.user.language
                    )
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
