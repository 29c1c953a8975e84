"""The documents of a plan, a row each: its title, who it is for, and what it may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One document of a plan. Its page layout stands in ``settings.DOCUMENT_KINDS`` under the same name."""

    title: Promise | str
    offered: Promise | str = (
        ""  # what the menu of a signed plan calls it; the two main prints have buttons of their own
    )
    of_a_wait: str = ""  # what a plan without injections prints in its place; it has no other prints
    waits: bool = False  # of a plan without injections
    for_staff: bool = False  # in the plan's language; the others in the patient's
    archive: bool = False  # only of a signed plan, with what was signed inside
    without_content: bool = False  # dates and general advice: for whoever may know that there is a plan


DOCUMENTS: Mapping[str, Kind] = {
    "plan_patient": Kind(title=_("Your treatment plan"), of_a_wait="waiting_patient"),
    "plan_record": Kind(title=_("Treatment plan, record copy"), of_a_wait="waiting_record", for_staff=True),
    "consent": Kind(title=_("Consent to treatment"), offered=_("Consent to treatment")),
    "aftercare": Kind(title=_("Before and after your sessions"), offered=_("Before and after"), without_content=True),
    "quotation": Kind(title=_("Quotation"), offered=_("Quotation")),
    "course_schedule": Kind(title=_("Your sessions"), offered=_("Dates of the course"), without_content=True),
    "plan_archive": Kind(
        title=_("Treatment plan, signed copy"),
        offered=_("Signed copy with its data (PDF/A-3)"),
        of_a_wait="waiting_archive",
        for_staff=True,
        archive=True,
    ),
    "waiting_patient": Kind(title=_("No injections for now"), waits=True),
    "waiting_record": Kind(title=_("Plan without injections, record copy"), waits=True, for_staff=True),
    "waiting_archive": Kind(title=_("Plan without injections, signed copy"), waits=True, for_staff=True, archive=True),
}
KINDS = tuple(name for name, kind in DOCUMENTS.items() if not kind.waits)
"""What people ask for by name; of a plan without injections its own takes the place."""
FOR_STAFF = tuple(name for name, kind in DOCUMENTS.items() if kind.for_staff)
ARCHIVES = tuple(name for name, kind in DOCUMENTS.items() if kind.archive)
WITHOUT_CONTENT = tuple(name for name, kind in DOCUMENTS.items() if kind.without_content)
OF_A_WAIT = {name: kind.of_a_wait for name, kind in DOCUMENTS.items() if kind.of_a_wait}
MORE = tuple((name, kind.offered) for name, kind in DOCUMENTS.items() if kind.offered)
"""The menu of further prints on the page of a signed plan: name and words."""
