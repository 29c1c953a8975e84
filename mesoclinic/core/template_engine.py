"""Templates for what leaves the house: a variable that the context lacks is an error, not an empty place.

A page may leave a gap; a letter or a treatment plan may not. Conditions (``{% if name %}``) may ask for what lacks.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.template.backends.django import DjangoTemplates


class MissingVariable(LookupError):
    """A template asks for something that its context does not hold."""


class _Refuse(str):
    """Django formats this string with the name of the missing variable; formatting it is the refusal."""

    __slots__ = ()

    def __contains__(self, part: object) -> bool:
        return True

    def __mod__(self, name: object) -> str:
        raise MissingVariable(f"The template asks for “{name}”, which its data lack.")


@cache
def _engine(autoescape: bool) -> DjangoTemplates:
    ours: dict[str, Any] = settings.TEMPLATES[0]
    options = {**ours["OPTIONS"], "string_if_invalid": _Refuse("%s"), "autoescape": autoescape}
    same = {"DIRS": ours["DIRS"], "APP_DIRS": ours.get("APP_DIRS", False)}
    return DjangoTemplates({"NAME": "strict", **same, "OPTIONS": options})


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "TEMPLATES":
        _engine.cache_clear()


def load(template: str) -> Any:
    """The template, compiled once per process."""
    return _engine(template.endswith(".html")).get_template(template)


def render(template: str, context: dict[str, Any]) -> str:
    """Render ``template`` strictly; HTML is escaped, text (``.txt``) is not."""
    return str(load(template).render(context))
