"""Keeps each PDF once, under the hash of its bytes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from django.core.files.storage import default_storage

from mesoclinic.documents.models import Document


class FileLost(Exception):
    """The file is gone, or its bytes are not the ones that were kept."""


def keep(data: bytes) -> tuple[str, str]:
    """Write the bytes where their hash says; (name, hash). The file is there whole or not at all."""
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


def read(document: Document) -> bytes:
    """The bytes of a finished document, checked against its hash."""
    try:
        data = Path(document.file.path).read_bytes()
    except FileNotFoundError:
        raise FileLost(str(document.file)) from None
    if hashlib.sha256(data).hexdigest() != document.content_hash:
        raise FileLost(str(document.file))
    return data
