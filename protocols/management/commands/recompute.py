"""``manage.py recompute PLAN`` or ``--all``: do the stored inputs still give the stored bytes?"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from protocols.engine import ENGINE_VERSION, CaseError, canonical_json, speaks
from protocols.engine.codes import without_sentences
from protocols.models import Plan
from protocols.plans.computing import Computed, recompute
from protocols.plans.signature import signature_holds


class Command(BaseCommand):
    help = "Compute plans again from what they store. Exit 1 where an answer or a signature differs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("plan", nargs="?", help="the plan's id, as in its address")
        parser.add_argument("--all", action="store_true", help="every plan")

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = total = older = 0
        for plan in self._plans(options).iterator(chunk_size=50):
            total += 1
            problems = differences(plan)
            wrong += bool(problems)
            older += not speaks(plan.engine_version)
            self.stdout.write(f"{plan.public_id}  {'; '.join(problems) or _agreement(plan)}")
        self.stdout.write(f"{total} looked at, {total - older} computed again, {wrong} different.")
        if older:
            self.stdout.write(
                f"{older} of another engine: only their signatures were checked. Compute them again with its release."
            )
        if wrong:
            raise CommandError("What is stored and what is computed differ.", returncode=1)

    def _plans(self, options: dict[str, Any]) -> QuerySet[Plan]:
        plans = Plan.objects.select_related("formulary", "patient", "intake", "supersedes", "signed_by").order_by("pk")
        if bool(options["plan"]) == bool(options["all"]):
            raise CommandError("Name one plan, or say --all.", returncode=2)
        if options["all"]:
            return plans
        try:
            found = plans.filter(public_id=UUID(options["plan"]))
        except ValueError:
            raise CommandError("A plan's id looks like 1b4e28ba-2fa1-11d2-883f-0016d3cca427.", returncode=2) from None
        if not found.exists():
            raise CommandError("There is no plan with this id.", returncode=2)
        return found


def differences(plan: Plan) -> list[str]:
    """What is not as it was, in words. Empty: the same codes, parameters and numbers, and the signature holds."""
    problems = _computed_otherwise(plan)
    if plan.is_signed and not signature_holds(plan):
        problems.append("its signature does not belong to what is stored")
    return problems


def _computed_otherwise(plan: Plan) -> list[str]:
    """Where the plan computed again differs, in the spelling of its engine that is nearest."""
    try:
        spellings = recompute(plan)
    except CaseError as error:
        return [f"its case cannot be read any more: {error}"]
    return min((_differs(plan, computed) for computed in spellings), key=len, default=[])


def _differs(plan: Plan, computed: Computed) -> list[str]:
    problems = []
    for name in ("case", "policy", "proposal", "result"):  # edits: the engine never saw why they were made
        stored, new = getattr(plan, name), getattr(computed, name)
        if name in ("proposal", "result"):
            stored, new = without_sentences(stored), without_sentences(new)
        if canonical_json(stored) != canonical_json(new):
            problems.append(f"{name} differs at {_first_difference(stored, new) or 'its top'}")
    return problems


def _agreement(plan: Plan) -> str:
    if speaks(plan.engine_version):
        by = "" if plan.engine_version == ENGINE_VERSION else f", as engine {plan.engine_version} gave them"
        return f"the same bytes{by}"
    held = "its signature holds" if plan.is_signed else "it cannot be signed any more"
    return f"computed by engine {plan.engine_version}, this is {ENGINE_VERSION}: not computed again; {held}"


def _first_difference(old: Any, new: Any, path: str = "") -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                return _first_difference(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    if isinstance(old, list) and isinstance(new, list):
        for place, (a, b) in enumerate(zip(old, new, strict=False)):
            if a != b:
                return _first_difference(a, b, f"{path}[{place}]")
    return path
