"""Turns templates into one message: subject, plain text and HTML, in the person's language and the site's wall time."""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone, translation

from mesoclinic.accounts.models import Clinic
from mesoclinic.core import template_engine


class Composed(NamedTuple):
    subject: str
    text: str
    html: str


def render(template: str, context: dict[str, Any], *, language: str, tz: tzinfo) -> Composed:
    """Render ``templates/mail/<template>.subject.txt``, ``.txt`` and ``.html``.

    The templates extend ``mail/base.txt`` and ``mail/base.html``, which show ``clinic`` and, if given, ``site``. A
    variable that is missing raises ``template_engine.MissingVariable``.
    """
    with translation.override(language), timezone.override(tz):
        full = {
            "clinic": None if "clinic" in context else Clinic.objects.first(),
            "language": language,
            "site_url": settings.SITE_URL,
            "time_zone": str(tz),
            **context,
        }
        subject = template_engine.render(f"mail/{template}.subject.txt", full)
        text = template_engine.render(f"mail/{template}.txt", full)
        html = template_engine.render(f"mail/{template}.html", full)
    return Composed(" ".join(subject.split()), _tidy(text), html.strip() + "\n")


def _tidy(text: str) -> str:
    """Template tags leave empty lines behind; a reader should not see them."""
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines) + "\n"
