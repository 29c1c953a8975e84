from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from mesoclinic.accounts.models import Site
from mesoclinic.core.template_engine import MissingVariable
from mesoclinic.messaging import compose

SUBJECT = "{% load i18n %}Your appointment\non {{ at|date:'H:i' }}\n"
TEXT = """{% extends "mail/base.txt" %}{% block content %}Dear {{ name }},

see you {{ at|date:"l j F Y, H:i" }}.{% if note %}


{{ note }}{% endif %}{% endblock %}"""
HTML = """{% extends "mail/base.html" %}{% block heading %}Soon{% endblock %}
{% block content %}<p>Dear {{ name }}, {{ at|date:"l H:i" }}</p>{% endblock %}"""


@pytest.fixture
def template(tmp_path: Path, settings: Settings) -> str:
    folder = tmp_path / "mail"
    folder.mkdir()
    for ending, content in ((".subject.txt", SUBJECT), (".txt", TEXT), (".html", HTML)):
        (folder / f"probe{ending}").write_text(content)
    ours: dict[str, Any] = django_settings.TEMPLATES[0]
    settings.TEMPLATES = [{**ours, "DIRS": [tmp_path, *ours["DIRS"]]}]
    return "probe"


def test_render_in_the_language_and_wall_time_of_the_person(template: str, lyon: Site) -> None:
    from datetime import UTC, datetime

    context = {"name": "Téo <b>", "at": datetime(2026, 11, 24, 8, 0, tzinfo=UTC), "site": lyon}

    subject, text, html = compose.render(template, context, language="fr", tz=ZoneInfo("Europe/Paris"))

    assert subject == "Your appointment on 09:00"
    assert text.startswith(
        "Dear Téo <b>,\n\nsee you mardi 24 novembre 2026, 09:00.\n\n--\nClinique des Tilleuls Lyon, 14"
    )
    assert "\n\n\n" not in text
    assert '<html lang="fr"' in html
    assert "<p>Dear Téo &lt;b&gt;, mardi 09:00</p>" in html
    assert "+33 4 00 00 00 00" in html


def test_render_with_a_gap_is_refused(template: str, lyon: Site) -> None:
    with pytest.raises(MissingVariable, match="“at”"):
        compose.render(template, {"name": "Teodor", "site": lyon}, language="en", tz=ZoneInfo("UTC"))
