"""What is done later about visits: prints ahead, letters written anew."""

from celery import shared_task


@shared_task(name="sessions.renew_stale_letters")
def renew_stale_letters() -> None:
    """Write anew every waiting letter whose sources have changed. Harmless to run twice: the rows decide."""
    from sessions.mail import rewriting

    rewriting.renew_stale_letters(by=None)


@shared_task(name="sessions.prepare_next_prints")
def prepare_next_prints() -> None:
    """Begin the prints of the next day's visits. Harmless to run twice: a visit that has them is left out."""
    from sessions.prints import documents

    documents.prepare_next_prints(by=None)
