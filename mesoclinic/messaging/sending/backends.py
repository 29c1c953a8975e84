"""Mail back ends of our own for Django."""

from __future__ import annotations

from typing import Any

from django.core.mail.backends.dummy import EmailBackend
from django.core.mail.backends.smtp import EmailBackend as DjangoSmtpBackend

from mesoclinic.messaging.sending.wire import Letter


class OutboxOnlyBackend(EmailBackend):
    """No mail server is set: a message counts as sent when the outbox holds it, and nothing leaves the machine."""


class SmtpBackend(DjangoSmtpBackend):
    """Django's own, which spares plain addresses the long way of taking them apart and putting them together again."""

    def _send(self, email_message: Any) -> bool:
        plain = isinstance(email_message, Letter) and email_message.has_plain_addresses
        if self.connection is None or not plain:
            return bool(super()._send(email_message))  # type: ignore[misc]
        wire = email_message.message().as_bytes(linesep="\r\n")
        self.connection.sendmail(email_message.sender, email_message.to, wire)
        return True
