"""A clinic that still has formulary 2026.1 in force, with what it published then."""

from __future__ import annotations

import json

from django.utils import timezone

from mesoclinic.accounts.models import User
from protocols.models import FormularyVersion
from protocols.models.enums import FormularyStatus
from tests.factories_protocols import draft_formulary
from tests.protocols.worked_cases import HERE


def earlier_version(*, by: User) -> FormularyVersion:
    """Return formulary 2026.1 in force, with the documents that a clinic which published it then holds."""
    version = draft_formulary(by=by, label="2026.1")
    documents = json.loads((HERE / "golden" / "formulary-2026.1.json").read_text(encoding="utf-8"))
    FormularyVersion.objects.filter(pk=version.pk).update(documents=documents, sha256="1" * 64)
    version.entries.filter(confirmation_required=True).update(confirmed_at=timezone.now(), confirmed_by=by)
    FormularyVersion.objects.filter(pk=version.pk).update(
        status=FormularyStatus.PUBLISHED, published_at=timezone.now(), published_by=by
    )
    return FormularyVersion.objects.get(pk=version.pk)
