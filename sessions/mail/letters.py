"""The letters' words: what is shipped, what a director put in its place, and how both become subject, text and HTML.

Everything a patient reads is in ``sessions/mail/texts/<language>.yaml``. A director's wording is a row that wins over
it. A wording may use only the placeholders of its kind, and must use the required ones; both are checked before it
is kept.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from django.db import transaction
from django.utils import translation
from django.utils.formats import date_format
from django.utils.html import escape
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, NotAllowed
from mesoclinic.messaging.compose import Composed, render
from sessions.mail.kinds import LETTER_KINDS
from sessions.models.followups import MailWording

FIELDS = ("subject", "preview", "heading", "body", "button")
_FOLDER = Path(__file__).parent / "texts"
_DAY = {"es": r"l j \d\e F"}
_DAY_YEAR = {"es": r"l j \d\e F \d\e Y"}

PLACEHOLDERS: Mapping[str, frozenset[str]] = {key: letter.may_say for key, letter in LETTER_KINDS.items()}
_BLOCKS = frozenset({"dates", "advice", "text"})  # only in the body: the first two as a paragraph of their own
REQUIRED: Mapping[str, frozenset[str]] = {
    kind: frozenset({"name"}) | (allowed & (_BLOCKS | {"was"})) for kind, allowed in PLACEHOLDERS.items()
}
KINDS = tuple(PLACEHOLDERS)


@lru_cache
def shipped(language: str) -> Mapping[str, Any]:
    """All texts of one language; of a language we have no words for, English."""
    path = _FOLDER / f"{language}.yaml"
    if not path.exists():
        path = _FOLDER / "en.yaml"
    found: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def page_texts(language: str) -> Mapping[str, str]:
    found: Mapping[str, str] = shipped(language)["pages"]
    return found


@dataclass(frozen=True, kw_only=True)
class Wording:
    subject: str
    preview: str
    heading: str
    body: str
    button: str
    version: int = 0  # 0: as shipped


def wording(kind: str, language: str) -> Wording:
    own = MailWording.objects.filter(kind=kind, language=language).order_by("-version").first()
    texts = own.texts if own is not None and own.texts else shipped(language)["letters"][kind]
    return Wording(version=own.version if own is not None else 0, **{name: texts[name] for name in FIELDS})


# ------------------------------------------------------------------ filling in


def placeholders_used(text: str) -> set[str]:
    """The placeholders of a text. A brace that belongs to none is a ValueError."""
    found = set()
    for _literal, name, spec, conversion in string.Formatter().parse(text):
        if name is None:
            continue
        if not name.isidentifier() or spec or conversion:
            raise ValueError(name)
        found.add(name)
    return found


def faults_of(kind: str, texts: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with a wording: a sentence beside each field."""
    faults: dict[str, str] = {}
    seen: set[str] = set()
    for name in FIELDS:
        text = texts.get(name, "").strip()
        allowed = PLACEHOLDERS[kind] - (_BLOCKS if name != "body" else frozenset())
        if not text and name != "button":
            faults[name] = _("This cannot be empty.")
            continue
        try:
            here = placeholders_used(text)
        except ValueError:
            faults[name] = _("A curly brace here belongs to no placeholder. Write one like {name}.")
            continue
        if unknown := sorted(here - allowed):
            faults[name] = _("There is no {%(unknown)s} here. You may use: %(allowed)s.") % {
                "unknown": unknown[0],
                "allowed": ", ".join(f"{{{word}}}" for word in sorted(allowed)),
            }
        seen |= here
    if "body" not in faults:
        if missing := sorted(REQUIRED[kind] - seen):
            faults["body"] = _("{%(missing)s} is missing.") % {"missing": missing[0]}
        blocks = {f"{{{word}}}" for word in ("dates", "advice")}
        for paragraph in _paragraphs(texts.get("body", "")):
            if paragraph not in blocks and any(block in paragraph for block in blocks):
                faults["body"] = _("{dates} and {advice} stand in a paragraph of their own.")
    return faults


def _paragraphs(body: str) -> list[str]:
    return [part.strip() for part in body.strip().replace("\r\n", "\n").split("\n\n") if part.strip()]


def day_of(at: datetime, tz: tzinfo, language: str, *, year: bool = False) -> str:
    formats = _DAY_YEAR if year else _DAY
    with translation.override(language):
        return date_format(at.astimezone(tz), formats.get(language, "l j F Y" if year else "l j F"))


def date_row(at: datetime, tz: tzinfo, language: str, *, was: datetime | None = None) -> str:
    """Day and time of a visit; where it moved, also those that it had before."""
    row = f"{day_of(at, tz, language, year=True)}, {at.astimezone(tz):%H:%M}"
    if was is None:
        return row
    words: str = shipped(language)["rows"]["moved"]
    return words.format(new=row, old=date_row(was, tz, language))


def compose(
    kind: str,
    *,
    language: str,
    tz: tzinfo,
    values: Mapping[str, Any],
    frame: Mapping[str, Any],
    dates: Sequence[str] = (),
    advice: Sequence[str] = (),
) -> Composed:
    """Return one letter in the words that count now; see ``compose_wording``."""
    words = wording(kind, language)
    return compose_wording(words, language=language, tz=tz, values=values, frame=frame, dates=dates, advice=advice)


def compose_wording(
    words: Wording,
    *,
    language: str,
    tz: tzinfo,
    values: Mapping[str, Any],
    frame: Mapping[str, Any],
    dates: Sequence[str] = (),
    advice: Sequence[str] = (),
) -> Composed:
    """Return one letter in these words.

    ``frame`` holds the link, its last day, the address of the choice and what the foot says.
    """
    plain = {name: str(value) for name, value in values.items()}
    blocks: list[dict[str, Any]] = []
    for paragraph in _paragraphs(words.body):
        if paragraph == "{dates}":
            blocks.append({"kind": "dates", "rows": list(dates)})
        elif paragraph == "{advice}":
            blocks.append({"kind": "advice", "rows": list(advice)})
        else:
            blocks.append({"kind": "text", "text": paragraph.format(**plain)})
    letter = {
        "subject": words.subject.format(**plain),
        "preview": words.preview.format(**plain),
        "heading": words.heading.format(**plain),
        "button": words.button.format(**plain),
        "blocks": blocks,
    }
    said = {
        name: text.format(**{"until": "", "emergency": "", **plain, **frame})
        for name, text in shipped(language)["frame"].items()
    }
    context = {"letter": letter, "said": said, **frame}
    composed = render("letter", context, language=language, tz=tz)
    phone = escape(plain.get("phone", ""))  # a number that breaks at the end of a line is hard to dial
    return composed._replace(html=composed.html.replace(phone, phone.replace(" ", "\N{NO-BREAK SPACE}")))


# ------------------------------------------------------------------ what a director changes


def check_can_word(by: User) -> None:
    if not by.may(Permission.SETTINGS_WRITE):
        raise NotAllowed(_("Only the medical director changes how mails are worded."))


@transaction.atomic
def change_wording(*, kind: str, language: str, texts: Mapping[str, str], by: User) -> MailWording:
    """Keep a director's wording as a new version. It counts for letters that are written from now on."""
    check_can_word(by)
    if faults := faults_of(kind, texts):
        field, sentence = next(iter(faults.items()))
        raise InvalidInput(sentence, field=field)
    return _keep(kind, language, {name: texts[name].strip() for name in FIELDS}, "wording.changed", by=by)


@transaction.atomic
def reset_wording(*, kind: str, language: str, by: User) -> MailWording:
    """Go back to what is shipped; the director's versions stay on record."""
    check_can_word(by)
    return _keep(kind, language, {}, "wording.reset", by=by)


def _keep(kind: str, language: str, texts: dict[str, str], action: str, *, by: User) -> MailWording:
    newest = MailWording.objects.select_for_update().filter(kind=kind, language=language).order_by("-version").first()
    row = MailWording.objects.create(
        kind=kind, language=language, version=newest.version + 1 if newest else 1, texts=texts, created_by=by
    )
    trail.record(action, by=by, details={"kind": kind, "language": language, "version": row.version})
    return row
