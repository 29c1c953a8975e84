"""What the settings name by dotted string, for tests of a platform that knows no patient."""

from __future__ import annotations

from uuid import UUID

from mesoclinic.accounts.models import Site, User
from mesoclinic.documents.models import Document

SITE_OF: dict[UUID, str] = {}  # person -> the name of the site whose staff may see them


def seen_by(user: User) -> list[UUID]:
    sites = set(Site.objects.filter(pk__in=user.site_ids).values_list("name", flat=True))
    return [person for person, site in SITE_OF.items() if site in sites]


def found_by(user: User, query: str) -> list[UUID] | None:
    """Whom a search by words finds: by the first letters of the id, too short under three."""
    return [person for person in seen_by(user) if str(person).startswith(query)] if len(query) > 2 else None


def document_seen_by(user: User, document: Document) -> bool:
    return document.person_id in seen_by(user)
