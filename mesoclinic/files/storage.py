"""Keep each file once, under the hash of its bytes; today PDFs, whoever asks for them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any, Protocol

from django.core.files.storage import default_storage


class Kept(Protocol):
    """A row that holds a file and the hash that its bytes must have."""

    file: Any
    content_hash: Any


class FileLost(Exception):
    """The file is gone, or its bytes are not the ones that were kept."""


def keep_file(data: bytes) -> tuple[str, str]:
    """Write the bytes where their hash says and return (name, hash). The file is there whole or not at all."""
    content_hash = hashlib.sha256(data).hexdigest()
    name = f"pdf/{content_hash[:2]}/{content_hash}.pdf"
    path = Path(default_storage.path(name))
    if path.exists() and path.read_bytes() == data:
        return name, content_hash
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return name, content_hash


def read_file(document: Kept) -> bytes:
    """Return the bytes of a finished document. Raise FileLost if they are gone or not those of its hash."""
    try:
        data = Path(document.file.path).read_bytes()
    except FileNotFoundError:
        raise FileLost(str(document.file)) from None
    if hashlib.sha256(data).hexdigest() != document.content_hash:
        raise FileLost(str(document.file))
    return data
