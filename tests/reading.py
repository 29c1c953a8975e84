"""What a person reads on the pages: following every link of ours, one page of each kind, and the words on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from django.test import Client
from django.urls import Resolver404, resolve

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
UNREAD = {
    "script",
    "style",
    "textarea",
    "pre",
}  # what runs, what people typed or mailed; and the originals of texts to review
READ_ALOUD = ("aria-label", "title", "placeholder", "alt")


class Page(HTMLParser):
    """The words of a page, each with the tag that holds it, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append("script" if "mc-rev" in (dict(attrs).get("class") or "") else tag)
        for name, value in attrs:
            if name in READ_ALOUD and value:
                self.words.append(value)
            if tag == "a" and name == "href" and value and value.startswith("/"):
                self.links.append(value)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self._open:
            self._open.pop()  # our pages close what they open

    def handle_data(self, data: str) -> None:
        if data.strip() and not UNREAD & set(self._open):
            self.words.append(" ".join(data.split()))


def name_of(url: str) -> str:
    try:
        return resolve(url.split("?")[0].split("#")[0]).view_name
    except Resolver404:
        return ""


def walk(client: Client, first: list[str], *, of_each: int = 1) -> Iterator[tuple[str, Page]]:
    """Each kind of page that can be reached by links, ``of_each`` times: its address and what stands on it."""
    waiting, seen, counts = list(first), set(), dict[str, int]()
    while waiting:
        url = waiting.pop(0)
        name = name_of(url)
        if url in seen or not name or counts.get(name, 0) >= of_each:
            continue
        seen.add(url)
        answer = client.get(url)
        if answer.status_code != 200 or not answer.get("Content-Type", "").startswith("text/html"):
            continue
        counts[name] = counts.get(name, 0) + 1
        page = Page(answer.content.decode())
        yield url, page
        waiting += page.links


# What a reader must not meet: what is written for a machine.
FOR_MACHINES = {
    "a date as a machine writes it": re.compile(r"\b(?:19|20)\d\d-[01]\d-[0-3]\d\b"),
    "an instant as a machine writes it": re.compile(r"\d\dT\d\d:\d\d"),
    "a key": re.compile(r"(?<![\w/.@-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w/@-])"),
    "a unit as a machine writes it": re.compile(r"\bu(?:g|L|mol|mol/L|g/L)\b(?!-)|\b(?:mmol|nmol|mg|g)/l\b"),
    "a path of a rule": re.compile(r"\b[a-z]+(?:\.[a-z_]+){2,}\b"),
}


def for_machines(words: str) -> list[str]:
    return [f"{what}: {found[0]}" for what, pattern in FOR_MACHINES.items() if (found := pattern.search(words))]
