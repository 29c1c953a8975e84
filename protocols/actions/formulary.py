"""Everything that changes a formulary."""

from __future__ import annotations

import hashlib
import json
import re

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition
from protocols.engine import canonical_json
from protocols.formulary.loader import load_documents
from protocols.formulary.queries import unconfirmed_entries
from protocols.models import FormularyEntry, FormularyVersion, Ingredient
from protocols.models.enums import FormularyStatus
from protocols.permissions import check_can_change_formulary, check_can_write_formulary

LABEL = re.compile(r"^[0-9A-Za-z][0-9A-Za-z._-]{0,19}$")


class UnconfirmedIngredients(DomainError):
    """A formulary cannot be published while flagged ingredients wait for the director's word."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(
            ngettext(
                "%(count)d ingredient has to be confirmed or switched off first: %(names)s.",
                "%(count)d ingredients have to be confirmed or switched off first: %(names)s.",
                len(names),
            )
            % {"count": len(names), "names": ", ".join(names)}
        )


@transaction.atomic
def load_formulary_draft(*, label: str, is_sample: bool, by: User) -> FormularyVersion:
    """A new draft from the formulary's files, with one entry per ingredient, switched as the files say."""
    check_can_write_formulary(by=by)
    if not LABEL.match(label):
        raise InvalidInput(_("Write a short name such as 2026.1: letters, figures, dots."), field="label")
    if FormularyVersion.objects.filter(label=label).exists():
        raise InvalidInput(_("There is a formulary %(label)s already.") % {"label": label}, field="label")
    content = canonical_json(load_documents())
    version = FormularyVersion.objects.create(
        label=label, documents=json.loads(content), sha256=hashlib.sha256(content).hexdigest(), is_sample=is_sample
    )
    items = version.documents["ingredients"]["ingredients"]
    Ingredient.objects.bulk_create(
        [Ingredient(key=item["key"], name=item["name"]) for item in items],
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["name"],
    )
    ingredients = {row.key: row for row in Ingredient.objects.filter(key__in=[item["key"] for item in items])}
    FormularyEntry.objects.bulk_create(
        FormularyEntry(
            version=version,
            ingredient=ingredients[item["key"]],
            ingredient_class=item["class"],
            role=item["role"],
            prescription_only=item["regulatory"]["prescription_only"],
            is_active=item["default_active"],
            confirmation_required=item["director_confirmation_required"],
        )
        for item in items
    )
    trail.record("formulary.drafted", by=by, target=version, details={"sha256": version.sha256, "is_sample": is_sample})
    return version


@transaction.atomic
def set_entry_active(*, entry: FormularyEntry, active: bool, by: User) -> FormularyEntry:
    """Switch an ingredient on or off in a draft. Switching off takes back its confirmation."""
    check_can_change_formulary(entry.version, by=by)
    entry.is_active = active
    if not active:
        entry.confirmed_at = entry.confirmed_by = None
    entry.save(update_fields=["is_active", "confirmed_at", "confirmed_by"])
    trail.record(
        "formulary.entry_switched_on" if active else "formulary.entry_switched_off",
        by=by,
        target=entry.version,
        details={"ingredient": entry.ingredient.key},
    )
    return entry


@transaction.atomic
def confirm_entry(*, entry: FormularyEntry, by: User) -> FormularyEntry:
    """The director has checked this ingredient against the law and the label of the product in stock."""
    check_can_change_formulary(entry.version, by=by)
    if not entry.is_active:
        raise InvalidTransition(
            _("%(name)s is switched off: switch it on before you confirm it.") % {"name": entry.ingredient.name}
        )
    waiting = FormularyEntry.objects.filter(pk=entry.pk, confirmed_at__isnull=True)
    if not waiting.update(confirmed_at=timezone.now(), confirmed_by=by):
        raise InvalidTransition(_("%(name)s is confirmed already.") % {"name": entry.ingredient.name})
    entry.refresh_from_db()
    trail.record("formulary.entry_confirmed", by=by, target=entry.version, details={"ingredient": entry.ingredient.key})
    return entry


@transaction.atomic
def publish_formulary(*, version: FormularyVersion, by: User) -> FormularyVersion:
    """Put a draft in force and retire the version before it. From then on it never changes."""
    check_can_change_formulary(version, by=by)
    waiting = list(unconfirmed_entries(version))
    if waiting:
        raise UnconfirmedIngredients([entry.ingredient.name for entry in waiting])
    now = timezone.now()
    before = FormularyVersion.objects.filter(status=FormularyStatus.PUBLISHED)
    retired = list(before.values_list("label", flat=True))
    before.update(status=FormularyStatus.RETIRED, retired_at=now)
    drafts = FormularyVersion.objects.filter(pk=version.pk, status=FormularyStatus.DRAFT)
    try:
        with transaction.atomic():
            published = drafts.update(status=FormularyStatus.PUBLISHED, published_at=now, published_by=by)
    except IntegrityError as error:
        raise InvalidTransition(_("Another version was published in this moment. Look again.")) from error
    if not published:
        raise InvalidTransition(_("Only a draft can be published."))
    version.refresh_from_db()
    trail.record(
        "formulary.published",
        by=by,
        target=version,
        details={
            "sha256": version.sha256,
            "retired": retired,
            "active": version.entries.filter(is_active=True).count(),
        },
    )
    return version
