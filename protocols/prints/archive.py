"""The signed copy of a plan as a file: whether it is what was signed, byte for byte."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from dataclasses import dataclass

from mesoclinic.documents.models import Document
from protocols.models import Plan

# As our own engine writes it: the embedded file is one plain object with its length, perhaps deflated.
_EMBEDDED = re.compile(rb"<</Type /EmbeddedFile[^\n]{0,400}/Length (\d+)>>\nstream\n")
MOST_BYTES = 20_000_000


@dataclass(frozen=True, kw_only=True)
class Verdict:
    holds: bool
    why: str


def verify_archive(data: bytes) -> Verdict:
    """The attached data must be what the signature is over, and the file one that we made, with no byte changed."""
    attached = attached_data(data)
    if attached is None:
        return Verdict(holds=False, why="The file holds no signed data, or they cannot be read.")
    signature = hashlib.sha256(attached).hexdigest()
    plan = Plan.objects.filter(signature_sha256=signature).select_related("signed_by").first()
    if plan is None or plan.signed_at is None or plan.signed_by is None:
        return Verdict(holds=False, why="The attached data do not match any signature.")
    if json.loads(attached)["plan"]["id"] != str(plan.public_id):
        return Verdict(holds=False, why="The attached data belong to another plan.")
    whole = hashlib.sha256(data).hexdigest()
    if not Document.objects.filter(kind="plan_archive", subject_id=plan.public_id, content_hash=whole).exists():
        return Verdict(holds=False, why="The attached data are those signed, but the pages around them were changed.")
    return Verdict(
        holds=True,
        why=f"Plan {plan.display_number} ({plan.public_id}), signed by {plan.signed_by.name} on "
        f"{plan.signed_at:%Y-%m-%d %H:%M} UTC; now {plan.get_status_display()}. SHA-256 {signature}.",
    )


def attached_data(data: bytes) -> bytes | None:
    """The bytes of the one embedded file; None where there is none, more than one, or it is damaged."""
    found = list(_EMBEDDED.finditer(data))
    if len(found) != 1:
        return None
    head, start = found[0].group(0), found[0].end()
    stream = data[start : start + int(found[0].group(1))]
    if b"/FlateDecode" not in head:
        return stream
    unpack = zlib.decompressobj()
    try:
        text = unpack.decompress(stream, MOST_BYTES)
    except zlib.error:
        return None
    return text if unpack.eof else None
