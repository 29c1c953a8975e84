from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.documents import actions, rendering
from mesoclinic.documents.models import Document

Ask = Callable[..., Document]
SignIn = Callable[[User], Client]


@pytest.fixture
def ready(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> Document:
    monkeypatch.setattr(rendering, "render", lambda document, **_: rendering.Pdf(data=b"%PDF-1.7 probe", pages=2))
    document = ask(title="Plan; “Teodor” Élodie/..\r\nX: y")
    actions.render_document(document.pk)
    document.refresh_from_db()
    return document


def test_status_polls_until_it_is_ready(ask: Ask, ada: User, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    document = ask()
    monkeypatch.setattr(rendering, "render", lambda document, **_: rendering.Pdf(data=b"%PDF-1.7 probe", pages=2))
    client, url = sign_in(ada), reverse("documents:status", args=[document.public_id])

    page = client.get(url).content.decode()
    assert f'hx-get="{url}"' in page and "Waiting for its turn" in page
    assert '<noscript><meta http-equiv="refresh" content="2;url=?again=1"></noscript>' in page
    assert "Teodor Brandvold" in page and "born 8 June 1987" in page
    fragment = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert fragment.lstrip().startswith('<div id="document-status"') and "<html" not in fragment
    assert f'hx-get="{url}"' in fragment

    actions.render_document(document.pk)

    done = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "hx-get" not in done
    assert reverse("documents:file", args=[document.public_id]) in done and "2 pages" in done


def test_status_of_a_failed_one_says_why_and_lets_try_again(ask: Ask, ada: User, sign_in: SignIn) -> None:
    document = ask()
    Document.objects.update(state="failed", last_error="The PDF engine is missing.")
    client = sign_in(ada)

    page = client.get(reverse("documents:status", args=[document.public_id])).content.decode()
    assert "The PDF engine is missing." in page and "hx-get" not in page

    client.post(reverse("documents:retry", args=[document.public_id]))
    assert Document.objects.get().state == "queued"


def test_looking_is_written_down_once_however_often_it_polls(ask: Ask, ada: User, sign_in: SignIn) -> None:
    document = ask()
    client, url = sign_in(ada), reverse("documents:status", args=[document.public_id])

    client.get(url)
    for _poll in range(3):
        client.get(url, headers={"HX-Request": "true"})
        client.get(url + "?again=1")  # without script

    assert AuditEvent.objects.filter(action="document.viewed", patient_id=document.person_id).count() == 1


@pytest.mark.parametrize(
    ("query", "disposition", "action"),
    [("", "inline", "document.opened"), ("?download", "attachment", "document.downloaded")],
)
def test_file_has_a_plain_name_and_is_written_down(
    ready: Document, ada: User, sign_in: SignIn, query: str, disposition: str, action: str
) -> None:
    response = sign_in(ada).get(reverse("documents:file", args=[ready.public_id]) + query)

    assert response.content == b"%PDF-1.7 probe"
    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Disposition"] == f'{disposition}; filename="plan-teodor-elodie-x-y-p-00342.pdf"'
    assert response["Cache-Control"] == "no-store, private"
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in response["Content-Security-Policy"]
    event = AuditEvent.objects.order_by("-id")[0]
    assert (event.action, event.actor_id, event.patient_id) == (action, ada.public_id, ready.person_id)


@pytest.mark.parametrize(
    ("back", "leads_to"),
    [("/messages/?state=sent", "/messages/?state=sent"), ("https://evil.example/", "/"), ("//evil.example/", "/")],
)
def test_ready_page_frames_the_pdf_and_leads_back(
    ready: Document, ada: User, sign_in: SignIn, back: str, leads_to: str
) -> None:
    page = sign_in(ada).get(reverse("documents:status", args=[ready.public_id]), {"back": back}).content.decode()

    file = reverse("documents:file", args=[ready.public_id])
    assert f'<iframe class="doc-frame" id="pdf" src="{file}"' in page
    assert f'<a class="btn" href="{leads_to}">' in page
    assert "refresh" not in page


@pytest.mark.parametrize("name", ["status", "file"])
def test_document_of_another_site_does_not_exist(ready: Document, dan: User, sign_in: SignIn, name: str) -> None:
    before = AuditEvent.objects.exclude(action="person.logged_in").count()

    assert sign_in(dan).get(reverse(f"documents:{name}", args=[ready.public_id])).status_code == 404
    assert AuditEvent.objects.exclude(action="person.logged_in").count() == before


def test_document_of_a_kind_that_was_taken_away_does_not_exist(
    ready: Document, ada: User, sign_in: SignIn, settings: object
) -> None:
    settings.DOCUMENT_KINDS = {}  # type: ignore[attr-defined]

    assert sign_in(ada).get(reverse("documents:file", args=[ready.public_id])).status_code == 404


def test_file_that_is_not_ready_leads_to_its_status(ask: Ask, ada: User, sign_in: SignIn) -> None:
    document = ask()

    response = sign_in(ada).get(reverse("documents:file", args=[document.public_id]))

    assert response["Location"] == reverse("documents:status", args=[document.public_id])


def test_file_that_was_lost_is_made_again(ready: Document, ada: User, sign_in: SignIn) -> None:
    Path(ready.file.path).unlink()

    response = sign_in(ada).get(reverse("documents:file", args=[ready.public_id]))

    assert response["Location"] == reverse("documents:status", args=[ready.public_id])
    assert Document.objects.get().state == "queued"
