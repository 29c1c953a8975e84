from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from mesoclinic.accounts.models import User
from mesoclinic.documents.actions import request_document
from mesoclinic.documents.models import Document

PROBE = """{% extends "documents/base.html" %}{% load i18n %}
{% block content %}<h1>{{ title }}</h1><p class="lead">{{ lead }}</p>
<table class="data"><thead><tr><th scope="col">Ingredient</th><th scope="col" class="num">Dose</th></tr></thead>
<tbody>{% for line in lines %}
<tr><th scope="row">{{ line.name }}</th><td class="num">{{ line.dose }}</td></tr>
{% endfor %}</tbody></table>
{% if image %}<img src="{{ image }}" alt="">{% endif %}{% endblock %}"""


@pytest.fixture(autouse=True)
def _probe_kind(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents/probe.html").write_text(PROBE)
    ours: dict[str, Any] = django_settings.TEMPLATES[0]
    settings.TEMPLATES = [{**ours, "DIRS": [tmp_path, *ours["DIRS"]]}]
    settings.DOCUMENT_KINDS = {
        "probe": {"template": "documents/probe.html", "visible": "tests.mesoclinic.providers.document_seen_by"}
    }
    settings.MEDIA_ROOT = tmp_path / "kept"


def context(**given: Any) -> dict[str, Any]:
    return {
        "person": {"name": "Teodor Brandvold", "born": "8 June 1987", "number": "P-00342"},
        "place": {"clinic": "Clinique des Tilleuls", "site": "Lyon", "address": "14 quai des Tilleuls", "phone": "+33"},
        "fingerprint": "9f2c" * 16,
        "version": "1.1",
        "lead": "Injections into the scalp: é, ł, ж, λ, −0.05 mL.",
        "lines": [{"name": "Biochanin A", "dose": "0.20 mg"}, {"name": "L-arginine", "dose": "70 mg"}],
        **given,
    }


@pytest.fixture
def ask(ada: User, person: UUID) -> Callable[..., Document]:
    """``ask(lead="…")``: one requested document of the kind "probe"."""
    subject_id = uuid.uuid4()

    def asked(*, title: str = "Treatment plan, Teodor Brandvold", language: str = "en", **given: Any) -> Document:
        return request_document(
            kind="probe",
            subject_id=subject_id,
            person_id=person,
            title=title,
            language=language,
            context=context(**given),
            by=ada,
        )

    return asked
