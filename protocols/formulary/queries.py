"""Which formulary is in force, and each version built for the engine."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from threading import Lock
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from mesoclinic.core.errors import DomainError
from protocols.engine import Formulary, build_formulary, canonical_json
from protocols.formulary.loader import release_label, release_sha256
from protocols.models import FormularyEntry, FormularyVersion
from protocols.models.enums import FormularyStatus


def formulary_versions() -> QuerySet[FormularyVersion]:
    """Every version, the newest first, without the documents themselves (they are large)."""
    return (
        FormularyVersion.objects.defer("documents")
        .select_related("published_by")
        .annotate(
            ingredient_count=Count("entries"),
            active_count=Count("entries", filter=Q(entries__is_active=True)),
            unconfirmed_count=Count("entries", filter=_UNCONFIRMED_OF_VERSION),
        )
    )


_UNCONFIRMED_OF_VERSION = Q(
    entries__is_active=True, entries__confirmation_required=True, entries__confirmed_at__isnull=True
)


def formulary_in_force() -> FormularyVersion | None:
    """The published version, or None while there is none. Its documents are fetched when asked for."""
    return FormularyVersion.objects.defer("documents").filter(status=FormularyStatus.PUBLISHED).first()


def version_before(version: FormularyVersion) -> FormularyVersion | None:
    """What a version is read against: a draft against the one in force, a published one against the one before it."""
    others = FormularyVersion.objects.defer("documents").exclude(pk=version.pk)
    if version.published_at is None:
        return others.filter(status=FormularyStatus.PUBLISHED).first()
    return others.filter(published_at__lt=version.published_at).order_by("-published_at").first()


def release_to_load() -> str:
    """Return the name of the formulary version that this release brings and nobody has loaded yet; else nothing."""
    loaded = FormularyVersion.objects.filter(sha256=release_sha256()).exists()
    return "" if loaded else release_label()


def required_formulary() -> FormularyVersion:
    version = formulary_in_force()
    if version is None:
        raise DomainError(_("No formulary is in force. The medical director publishes one under Formulary, Versions."))
    return version


def unconfirmed_entries(version: FormularyVersion) -> QuerySet[FormularyEntry]:
    """The flagged entries that are switched on and that the director has not confirmed."""
    return version.entries.filter(is_active=True, confirmation_required=True, confirmed_at__isnull=True).select_related(
        "ingredient"
    )


_BUILT_AT_MOST = 8


_built: OrderedDict[tuple[str, str, frozenset[str]], Formulary] = OrderedDict()


_documents: OrderedDict[str, dict[str, Any]] = OrderedDict()


_lock = Lock()


def documents_of(version: FormularyVersion) -> dict[str, Any]:
    """The version's documents, fetched once per process: a version with this hash holds these documents, for ever.

    Their keys are in the order in which they were written. PostgreSQL keeps them in one of its own, and a plan's
    questions would follow it: the same plan has to have the same bytes in either database.
    """
    found = _documents.get(version.sha256)
    if found is None:
        found = json.loads(canonical_json(version.documents))
        _keep(_documents, version.sha256, found)
    return found


def documents_by_hash(hashes: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the documents of several versions by their hash, with one query for those that nobody asked for before."""
    found = {key: _documents[key] for key in set(hashes) if key in _documents}
    if missing := set(hashes) - found.keys():
        found |= {row.sha256: documents_of(row) for row in FormularyVersion.objects.filter(sha256__in=missing)}
    return found


def built_formulary(version: FormularyVersion) -> Formulary:
    """What the engine works with, by the version's hash and its switched-on ingredients."""
    return built_formularies([version])[version.pk]


def built_formularies(versions: Iterable[FormularyVersion]) -> dict[int, Formulary]:
    """The same for several versions, by primary key, with one query for the switches of all."""
    wanted = {version.pk: version for version in versions}
    switches: dict[int, dict[str, bool]] = {pk: {} for pk in wanted}
    if wanted:
        rows = FormularyEntry.objects.filter(version__in=wanted).order_by()
        for pk, ingredient, is_active in rows.values_list("version_id", "ingredient__key", "is_active"):
            switches[pk][ingredient] = is_active
    return {pk: _built_with(version, switches[pk]) for pk, version in wanted.items()}


def _built_with(version: FormularyVersion, switches: Mapping[str, bool]) -> Formulary:
    active = frozenset(key for key, is_active in switches.items() if is_active)
    key = (version.sha256, version.label, active)
    found = _built.get(key)
    if found is None:
        found = build_formulary(
            documents_of(version), activate=active, deactivate=frozenset(switches) - active, label=version.label
        )
        _keep(_built, key, found)
    return found


def _keep(store: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    with _lock:
        store[key] = value
        while len(store) > _BUILT_AT_MOST:
            store.popitem(last=False)
