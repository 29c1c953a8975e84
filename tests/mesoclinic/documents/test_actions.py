from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidTransition
from mesoclinic.documents import actions, rendering, tasks
from mesoclinic.documents.models import TRANSITIONS, Document, DocumentState
from mesoclinic.files import storage

Ask = Callable[..., Document]
PDF = rendering.Pdf(data=b"%PDF-1.7 probe", pages=2)


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A renderer that costs nothing and counts what it was asked for."""
    asked: list[int] = []

    def render(document: Document, **_: object) -> rendering.Pdf:
        asked.append(document.pk)
        return PDF

    monkeypatch.setattr(rendering, "render", render)
    return asked


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def render(document: Document, **_: object) -> rendering.Pdf:
        raise error

    monkeypatch.setattr(rendering, "render", render)


def test_request_document_twice_is_one_row(ask: Ask) -> None:
    assert ask().pk == ask().pk
    assert Document.objects.count() == 1


@pytest.mark.parametrize("change", [{"title": "Other"}, {"language": "fr"}, {"lead": "Other"}])
def test_request_document_with_other_content_is_another(ask: Ask, change: dict[str, str]) -> None:
    assert ask().pk != ask(**change).pk


def test_request_document_after_a_template_changed_is_another(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ask()
    monkeypatch.setattr(actions, "template_version", lambda: "another")

    assert ask().pk != first.pk


def test_request_document_keeps_dates_and_decimals_as_text(ask: Ask) -> None:
    document = ask(on=date(2026, 11, 24), dose=Decimal("0.20"), who=uuid.UUID(int=7))

    assert (document.context["on"], document.context["dose"]) == ("2026-11-24", "0.20")


def test_request_document_of_an_unknown_kind_is_a_mistake(ada: User) -> None:
    with pytest.raises(ValueError, match="DOCUMENT_KINDS"):
        actions.request_document(
            kind="nothing",
            subject_id=uuid.uuid4(),
            person_id=uuid.uuid4(),
            title="",
            language="en",
            context={},
            by=ada,
        )


def test_request_document_queues_its_task_after_the_commit(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    queued: list[int] = []
    monkeypatch.setattr(tasks.render, "delay", queued.append)

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        document = ask()
        assert queued == []

    assert queued == [document.pk]


def test_what_nobody_waits_for_lets_others_go_first(
    ask: Ask, ada: User, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    queued: list[int] = []
    monkeypatch.setattr(tasks.render, "delay", queued.append)
    given = {"kind": "probe", "subject_id": uuid.uuid4(), "person_id": None, "title": "T", "language": "en"}

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        rows = [
            actions.request_document(**given, context={"n": n}, by=ada, ahead=True)
            for n in range(actions.SHORT_QUEUE + 2)
        ]
        asked = ask()

    sent = [row.pk for row in rows[: actions.SHORT_QUEUE - 1]]
    assert queued == [*sent, asked.pk]
    assert actions.due_documents() == [*(row.pk for row in rows), asked.pk]  # the tick takes them up
    assert len(actions.due_documents(limit=3)) == 3


def test_request_document_survives_a_broker_that_is_down(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    def unreachable(document_id: int) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(tasks.render, "delay", unreachable)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        ask()

    assert actions.due_documents() == [Document.objects.get().pk]


def test_render_makes_it_once(ask: Ask, renders: list[int]) -> None:
    document = ask()

    tasks.render(document.pk)
    tasks.render(document.pk)

    document.refresh_from_db()
    assert renders == [document.pk]
    assert (document.state, document.pages, document.size_bytes, document.lease) == ("ready", 2, len(PDF.data), None)
    assert storage.read_file(document) == PDF.data


def test_render_of_a_row_that_is_gone_is_left(db: None) -> None:
    tasks.render(12345)


def test_render_that_breaks_is_tried_three_times(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    document = ask()
    failing(monkeypatch, MemoryError("too much"))

    states = [actions.render_document(document.pk) for _try in range(4)]

    document.refresh_from_db()
    assert states == ["queued", "queued", "failed", None]
    assert document.last_error == "MemoryError: too much"


def test_render_that_can_never_work_fails_at_once(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    document = ask()
    failing(monkeypatch, rendering.CannotRender("The PDF engine is missing."))

    actions.render_document(document.pk)

    document.refresh_from_db()
    assert (document.state, document.attempts, document.last_error) == ("failed", 1, "The PDF engine is missing.")


def test_failed_document_asked_for_again_is_tried_again(ask: Ask, renders: list[int]) -> None:
    document = ask()
    Document.objects.update(state="failed", attempts=3, last_error="x")

    assert ask().pk == document.pk
    actions.render_document(document.pk)

    document.refresh_from_db()
    assert document.state == "ready"


def test_worker_that_died_is_relieved_when_its_lease_ends(ask: Ask, renders: list[int]) -> None:
    document = ask()
    lease = uuid.uuid4()
    Document.objects.update(
        state="rendering", attempts=1, lease=lease, leased_until=timezone.now() + timedelta(minutes=1)
    )
    assert (actions.due_documents(), actions.render_document(document.pk)) == ([], None)

    Document.objects.update(leased_until=timezone.now())

    assert actions.due_documents() == [document.pk]
    assert actions.render_document(document.pk) == "ready"


def test_worker_that_dies_each_time_ends_failed(ask: Ask) -> None:
    document = ask()
    Document.objects.update(
        state="rendering", attempts=3, lease=uuid.uuid4(), leased_until=timezone.now() - timedelta(seconds=1)
    )

    assert actions.due_documents() == []
    document.refresh_from_db()
    assert (document.state, document.lease) == ("failed", None)


def test_result_of_a_worker_that_lost_its_lease_is_dropped(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    document = ask()
    other = uuid.uuid4()

    def overtaken(row: Document, **_: object) -> rendering.Pdf:
        Document.objects.update(lease=other)
        return PDF

    monkeypatch.setattr(rendering, "render", overtaken)

    assert actions.render_document(document.pk) is None
    document.refresh_from_db()
    assert (document.state, document.lease) == ("rendering", other)


def test_lost_file_is_made_again(ask: Ask, renders: list[int], ada: User) -> None:
    document = ask()
    actions.render_document(document.pk)
    document.refresh_from_db()
    Path(document.file.path).unlink()
    with pytest.raises(storage.FileLost):
        storage.read_file(document)

    actions.renew_lost_file(document=document, by=ada)
    actions.render_document(document.pk)

    document.refresh_from_db()
    assert storage.read_file(document) == PDF.data


def test_damaged_file_is_not_served(ask: Ask, renders: list[int]) -> None:
    document = ask()
    actions.render_document(document.pk)
    document.refresh_from_db()
    Path(document.file.path).write_bytes(b"%PDF-1.7 something else")

    with pytest.raises(storage.FileLost):
        storage.read_file(document)


def test_kept_file_that_was_cut_short_is_written_anew(ask: Ask) -> None:
    name, _hash = storage.keep_file(PDF.data)
    path = Path(storage.default_storage.path(name))
    path.write_bytes(PDF.data[:4])

    storage.keep_file(PDF.data)

    assert path.read_bytes() == PDF.data
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_retry_document_only_after_a_failure(ask: Ask, ada: User) -> None:
    document = ask()
    with pytest.raises(InvalidTransition, match="failed or was cancelled"):
        actions.retry_document(document=document, by=ada)
    assert not AuditEvent.objects.filter(action="document.retried").exists()

    Document.objects.update(state="failed")
    document.refresh_from_db()
    actions.retry_document(document=document, by=ada)

    assert Document.objects.get().state == "queued"
    event = AuditEvent.objects.get(action="document.retried")
    assert (event.actor_id, event.target_id) == (ada.public_id, document.public_id)


def test_made_document_is_frozen_in_the_database(ask: Ask, renders: list[int]) -> None:
    document = ask()
    Document.objects.update(title="May change while it waits")
    actions.render_document(document.pk)

    for statement in (
        "UPDATE documents_document SET title = 'Another'",
        "UPDATE documents_document SET context = '{}'",
        "DELETE FROM documents_document",
    ):
        refused = pytest.raises(IntegrityError, match="document_made_frozen")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_request_is_written_down(ask: Ask, ada: User, person: uuid.UUID) -> None:
    ask()

    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id, event.patient_id) == ("document.requested", ada.public_id, person)


def test_transitions_name_every_state() -> None:
    assert set(TRANSITIONS) == set(DocumentState)
