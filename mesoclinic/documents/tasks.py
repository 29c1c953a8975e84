import logging

from celery import shared_task

log = logging.getLogger(__name__)


@shared_task(name="documents.render", soft_time_limit=60, time_limit=90)
def render(document_id: int) -> None:
    from mesoclinic.documents import actions

    if actions.render_document(document_id) is None:
        log.info("document %s: nothing to do", document_id)


@shared_task(name="documents.render_due")
def render_due() -> None:
    """Queue again what a lost message or a dead worker left behind."""
    from mesoclinic.documents import actions

    for document_id in actions.due_documents():
        render.delay(document_id)
