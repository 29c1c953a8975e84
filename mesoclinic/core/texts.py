"""Texts that stand in data files: which fields hold them, and the same data in the reader's language.

A field is an address such as ``ingredients[].concerns[].note`` or ``facts.*.values.*.label``: ``[]`` is each item of a
list, ``*`` each key of a mapping. What is no text there is passed over. ``make messages`` collects by the addresses by
which a page reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def _steps(address: str) -> tuple[str, ...]:
    return tuple(
        step for part in address.split(".") for step in (part.removesuffix("[]"), "[]")[: 1 + part.endswith("[]")]
    )


def texts_at(document: Any, addresses: Iterable[str]) -> Iterator[str]:
    """Every text of the document that stands at one of the addresses, in the document's order by address."""
    for address in addresses:
        yield from _texts(document, _steps(address))


def _texts(node: Any, steps: tuple[str, ...]) -> Iterator[str]:
    if not steps:
        if isinstance(node, str) and node.strip():
            yield node
        return
    for child in _children(node, steps[0]).values():
        yield from _texts(child, steps[1:])


def _children(node: Any, step: str) -> dict[Any, Any]:
    if step == "[]":
        return dict(enumerate(node)) if isinstance(node, list | tuple) else {}
    if not isinstance(node, Mapping):
        return {}
    return dict(node) if step == "*" else {step: node[step]} if step in node else {}


def in_words(document: Any, addresses: Iterable[str], say: Callable[[str], str]) -> Any:
    """A copy of the document in which ``say`` has replaced the texts; what has no text is shared with the original."""
    for address in addresses:
        document = _said(document, _steps(address), say)
    return document


def _said(node: Any, steps: tuple[str, ...], say: Callable[[str], str]) -> Any:
    if not steps:
        return say(node) if isinstance(node, str) and node.strip() else node
    children = _children(node, steps[0])
    if not children:
        return node
    copy = list(node) if isinstance(node, list | tuple) else dict(node)
    for key, child in children.items():
        copy[key] = _said(child, steps[1:], say)
    return copy
