"""What a print for the patient says: what to expect, what to do, and when to call."""

from __future__ import annotations

import re

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from protocols.pages.course import expectations
from protocols.pages.reading import Reading
from protocols.prints.shared import Data


def for_patient(reading: Reading, texts: Data) -> Data:
    """Everything that a print for the patient says besides what every print of the plan does."""
    return {
        "expect": expectations(reading),
        "notes": [row["message"] for row in reading.result["infos"]],
        "aftercare": [
            {"when": _(row["when"]), "text": _(row["text"])} for row in texts["aftercare"] if row["when"] != "any time"
        ],
        "usual": [
            {"label": _(row["label"]), "how_long": _how_long(row["usual_duration"]), "advice": _(row["advice"])}
            for row in texts["expected_side_effects"]
        ],
        "alarms": [
            {
                "when": when,
                "number": number,
                "called": f"{when} {number}".strip(),
                "signs": [
                    _(row["label"]).replace("degC", "°C") for row in texts["red_flags"] if row["contact"] == contact
                ],
            }
            for contact, when, number in (
                ("emergency_number", _("Call the emergency number"), settings.EMERGENCY_NUMBER),
                ("immediately", _("Call us at once"), ""),
                ("same_day", _("Call us the same day"), ""),
            )
        ],
    }


def _how_long(duration: Data) -> str:
    last = duration["max"]
    counted = {
        "minutes": ngettext("%(n)s minute", "%(n)s minutes", last),
        "hours": ngettext("%(n)s hour", "%(n)s hours", last),
        "days": ngettext("%(n)s day", "%(n)s days", last),
    }
    if "min" in duration:
        span = _("%(low)s to %(high)s") % {"low": duration["min"], "high": last}
        return counted[duration["unit"]] % {"n": span}
    return _("up to %(time)s") % {"time": counted[duration["unit"]] % {"n": last}}


def plainly(note: str) -> str:
    """The formulary's notes are written for the record; the patient gets no capitals."""
    if (translation.get_language() or "en").startswith("en"):
        for record, plain in _IN_CAPITALS:
            note = note.replace(record, plain)
    else:  # a translation has capitals of its own
        note = _LOUD.sub(lambda found: found[0].lower(), note)
    return note[:1].upper() + note[1:]


_IN_CAPITALS = (("TOPICAL", "topical"), ("ORAL,", "By mouth,"), ("ORAL.", "By mouth."), ("ORAL ", "oral "))
_LOUD = re.compile(r"(?:VOIE|VÍA) ORALE?\b|\b[A-ZÀ-Ý]{6,}\b")  # PDRN, GHK and their like stay
