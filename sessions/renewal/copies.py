"""What copies each field of Patient, Site, User and Clinic: one table, which the renewal works by.

A field that is missing here fails a test. Whoever adds a field, or lets a mail, a print or a visit copy one, writes it
down. ``NOTHING`` is for what nobody copies; what is read afresh each time (a calendar feed, a list) is no copy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from django.db.models import Model

from mesoclinic.accounts.models import Clinic, Site, User
from patients.models import Patient


class Copy(StrEnum):
    BELONGINGS = "belongings"  # visits to come, follow-ups and mails: of the record that remains
    OWED = "owed"  # follow-ups and mails that are planned, or withdrawn, as a whole
    MAILS = "mails"  # what waits in the outbox: address, name, language, words, calendar file
    LINKS = "links"  # addresses in mails that have left; closed where a person asks for it
    PRINTS = "prints"  # PDFs that were made; flagged, and made anew when they are asked for
    PLANS = "plans"  # the case of a draft or plan; compared with the record whenever it is read or signed
    VISITS = "visits"  # booked visits that no longer fit, or must not take place; listed on Today
    SEARCH = "search"  # the key that lists are sorted and searched by; written with the row


NOTHING: frozenset[Copy] = frozenset()


def _by(*copies: Copy) -> frozenset[Copy]:
    return frozenset(copies)


COPIES: Mapping[type[Model], Mapping[str, frozenset[Copy]]] = {
    Patient: {
        "id": NOTHING,
        "public_id": NOTHING,  # never changes
        "number": NOTHING,  # never changes
        "given_name": _by(Copy.MAILS, Copy.PRINTS, Copy.SEARCH),
        "family_name": _by(Copy.MAILS, Copy.PRINTS, Copy.SEARCH),
        "family_name_first": _by(Copy.MAILS, Copy.PRINTS),
        "birth_date": _by(Copy.PRINTS, Copy.PLANS, Copy.SEARCH),
        "sex_at_birth": _by(Copy.PRINTS, Copy.PLANS),
        "email": _by(Copy.OWED, Copy.MAILS, Copy.LINKS, Copy.SEARCH),
        "phone": _by(Copy.SEARCH),
        "language": _by(Copy.MAILS, Copy.PRINTS),
        "contact_allowed": _by(Copy.OWED),
        "site": _by(Copy.MAILS, Copy.PRINTS, Copy.VISITS),
        "status": _by(Copy.OWED, Copy.VISITS),
        "merged_into": _by(Copy.BELONGINGS, Copy.OWED, Copy.MAILS),
        "holds_merged_records": NOTHING,  # written with merged_into
        "search_key": NOTHING,  # a copy itself
        "revision": NOTHING,
        "created_at": NOTHING,
        "created_by": NOTHING,
    },
    Site: {
        "id": NOTHING,
        "public_id": NOTHING,
        "name": _by(Copy.MAILS, Copy.PRINTS),
        "time_zone": _by(Copy.MAILS, Copy.PRINTS),  # does not change while visits are to come
        "street": _by(Copy.MAILS, Copy.PRINTS),
        "city": _by(Copy.MAILS, Copy.PRINTS),
        "phone": _by(Copy.MAILS, Copy.PRINTS),
        "email": _by(Copy.MAILS),
        "language": NOTHING,  # offered for the next record that is opened; of packs that are asked for from now on
        "paper": _by(Copy.PRINTS),
    },
    User: {
        "id": NOTHING,
        "public_id": NOTHING,
        "password": NOTHING,
        "last_login": NOTHING,
        "email": NOTHING,  # the name to log in with
        "title": _by(Copy.MAILS, Copy.PRINTS),
        "given_name": _by(Copy.MAILS, Copy.PRINTS),
        "family_name": _by(Copy.MAILS, Copy.PRINTS),
        "family_name_first": _by(Copy.MAILS, Copy.PRINTS),
        "language": NOTHING,  # of what is made from now on
        "sites": _by(Copy.VISITS),
        "roles": _by(Copy.VISITS),
        "is_active": _by(Copy.VISITS),
        "joined_at": NOTHING,
    },
    Clinic: {
        "id": NOTHING,
        "name": _by(Copy.MAILS, Copy.PRINTS),
        "currency": NOTHING,  # a plan seals the price it was signed with
        "policy": NOTHING,  # a plan seals the policy it was signed with; drafts are computed anew on request
        "is_sample": NOTHING,  # asked when mail leaves
    },
}


def copies_of(model: type[Model], fields: Collection[str]) -> frozenset[Copy]:
    """Return what has copied any of these fields of a model."""
    known = COPIES[model]
    return frozenset(copy for name in fields for copy in known[name])
