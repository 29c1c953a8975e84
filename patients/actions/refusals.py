"""What a change of a record is refused for."""

from __future__ import annotations

from mesoclinic.core.errors import DomainError


class StaleRevision(DomainError):
    """Somebody else saved in between; nothing was overwritten."""
