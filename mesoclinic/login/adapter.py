"""Where django-allauth asks us: nobody signs up, and where one goes after a log-in."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from mesoclinic.accounts.models import User


class StaffAdapter(DefaultAccountAdapter):
    """Accounts are made by the director; nobody signs up, and log-in sends no mail."""

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """Look for the address as it is kept: composed, and without what was pasted with it unseen."""
        if isinstance(email := credentials.get("email"), str):
            credentials["email"] = User.objects.normalize_email(email)
        return super().authenticate(request, **credentials)

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Mail of this product leaves through the outbox only; what allauth would tell is in the audit trail."""
