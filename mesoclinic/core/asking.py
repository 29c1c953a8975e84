"""How a question is made of its check: the one way from ``check_can_x`` to ``can_x``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from mesoclinic.core.errors import DomainError

P = ParamSpec("P")


def asks(check: Callable[P, object]) -> Callable[P, bool]:
    """Return the question to a check: the same arguments, and whether it lets them through instead of a refusal."""

    @wraps(check)
    def can(*args: P.args, **kwargs: P.kwargs) -> bool:
        try:
            check(*args, **kwargs)
        except DomainError:
            return False
        return True

    return can
