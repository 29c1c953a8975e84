"""Makes a print later, and all that were left behind."""

import logging

from celery import shared_task
from celery.signals import worker_init, worker_process_shutdown

log = logging.getLogger(__name__)


@worker_init.connect
def load_engine(**_: object) -> None:
    from mesoclinic.documents import rendering

    rendering.load_engine()


@worker_process_shutdown.connect
def drop_engine(**_: object) -> None:
    from mesoclinic.documents import rendering

    rendering.drop_tools()


def send(document_id: int, *, pack: bool) -> None:
    (render_pack if pack else render).delay(document_id)


@shared_task(name="documents.render", soft_time_limit=60, time_limit=90)
def render(document_id: int) -> None:
    _render(document_id)


@shared_task(name="documents.render_pack", soft_time_limit=900, time_limit=960)
def render_pack(document_id: int) -> None:
    """Many prints in one file. Its lease starts anew with each of them."""
    _render(document_id)


def _render(document_id: int) -> None:
    from mesoclinic.documents import actions

    if actions.render_document(document_id) is None:
        log.info("document %s: nothing to do", document_id)


@shared_task(name="documents.render_due")
def render_due() -> None:
    """Queue again what a lost message or a dead worker left behind."""
    from mesoclinic.documents import actions

    due = actions.due_documents()
    packs = actions.packs_among(document_ids=due)
    for document_id in due:
        send(document_id, pack=document_id in packs)
