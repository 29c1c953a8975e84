from celery import shared_task


@shared_task(name="sessions.renew_stale_letters")
def renew_stale_letters() -> None:
    """Write anew every waiting letter whose sources have changed. Harmless to run twice: the rows decide."""
    from sessions import rewriting

    rewriting.renew_stale_letters(by=None)
