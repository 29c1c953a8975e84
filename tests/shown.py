"""What a browser sends along by itself: the marks of what a page showed."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any


def seen_on(client: Any, page: str) -> dict[str, str]:
    """Open the page and return the marks that each of its forms would send back."""
    return seen_in(client.get(page))


def seen_in(answer: Any) -> dict[str, str]:
    found = re.findall(r'name="((?:[^"]*-)?seen)" value="([^"]*)"', answer.content.decode())
    return {name: html.unescape(value) for name, value in found}


def as_typed(answer: Any) -> dict[str, str]:
    """Return what the page's forms would send as they stand: text, choices, ticks and hidden fields."""
    page = _Fields()
    page.feed(answer.content.decode())
    return page.fields


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.select = self.area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "select":
            self.select = name
        elif tag == "option" and "selected" in given:
            self.fields[self.select] = given.get("value", "")
        elif tag == "textarea":
            self.area = name
        elif tag == "input" and name and (kind not in ("radio", "checkbox") or "checked" in given):
            self.fields[name] = given.get("value", "on" if kind in ("radio", "checkbox") else "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.area = ""

    def handle_data(self, data: str) -> None:
        if self.area:
            self.fields[self.area] = self.fields.get(self.area, "") + data.removeprefix("\n")
