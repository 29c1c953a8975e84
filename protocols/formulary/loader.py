"""Load the formulary's data files as documents: plain JSON, decimals as the strings they were written as."""

from __future__ import annotations

import copy
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from patients.vocabulary import asked_documents, read_yaml
from protocols.engine import canonical_json
from protocols.formulary.checking import check_documents

HERE = Path(__file__).resolve().parent
FILES = ("ingredients", "concerns", "screening", "course", "sources", "release")


class FormularyError(ValueError):
    """The documents contradict themselves or the vocabulary; every problem is in `problems`."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def load_documents() -> dict[str, Any]:
    """The starter formulary with the vocabulary it refers to, so that a stored version stands on its own."""
    return copy.deepcopy(_starter())


def release_label() -> str:
    """Return the name of the formulary version that this release brings."""
    return str(_starter()["release"]["label"])


@lru_cache(maxsize=1)
def release_sha256() -> str:
    """Return the hash that a version loaded from this release's files has."""
    return hashlib.sha256(canonical_json(_starter())).hexdigest()


@lru_cache(maxsize=1)
def _starter() -> dict[str, Any]:
    documents: dict[str, Any] = {name: read_yaml(HERE / f"{name}.yaml") for name in FILES}
    documents["vocabulary"] = asked_documents()
    require_sound(documents)
    return documents


def require_sound(documents: dict[str, Any]) -> None:
    """Raise FormularyError unless the documents are whole and consistent. To be asked before a version is published."""
    if problems := check_documents(documents):
        raise FormularyError(problems)
