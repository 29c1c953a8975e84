"""Sends what is due."""

from celery import shared_task


@shared_task(name="messaging.deliver_due")
def deliver_due() -> None:
    """Send what is due. Queued by every tick and harmless to run twice: the rows decide."""
    from mesoclinic.messaging.sending import delivery

    delivery.deliver_due()
