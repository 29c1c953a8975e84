"""The plan on paper: who may see and ask for its PDFs, and what each is made of."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import translation
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput, NotAllowed
from mesoclinic.documents.actions import request_document
from mesoclinic.documents.models import Document
from protocols.models import Plan
from protocols.plans.queries import is_plan_seen_by, plans_seen_by
from protocols.prints.contexts import plan_context
from protocols.prints.kinds import ARCHIVES, DOCUMENTS, FOR_STAFF, KINDS, OF_A_WAIT, WITHOUT_CONTENT
from protocols.prints.shared import Data


def plan_pdf_visible(user: User, document: Document) -> bool:
    """Whoever may read plans may read their PDFs, for patients of their own sites."""
    needed = Permission.PLAN_EXISTS if document.kind in WITHOUT_CONTENT else Permission.PLAN_READ
    plans = Plan.objects.filter(plans_seen_by(user), public_id=document.subject_id)
    return user.may(needed) and plans.exists()


def request_plan_pdf(*, plan: Plan, by: User, kind: str = "plan_patient") -> Document:
    """One of the plan's PDFs: those for the patient in the patient's language, those for the record in the plan's."""
    needed = Permission.PLAN_EXISTS if kind in WITHOUT_CONTENT else Permission.PLAN_READ
    if not by.may(needed) or not is_plan_seen_by(plan, by):
        raise NotAllowed(_("Your role does not allow reading plans."))
    if kind not in KINDS:
        raise InvalidInput(_("There is no such document of a plan."))
    return request_document(**plan_part(plan, kind=kind), by=by)


def prepare_prints(plan: Plan, *, by: User, kinds: Sequence[str] = ("plan_patient", "plan_record")) -> None:
    """What is asked for right after a signature, or after a booking, made ahead of need.

    Whoever books need not be allowed to read plans: nothing is shown by this, and each look at a print asks again.
    """
    for kind in kinds:
        request_document(**plan_part(plan, kind=kind), by=by, ahead=True)


def plan_part(plan: Plan, *, kind: str) -> Data:
    """Kind, title, language and content of one document, as a row or as one part of a pack holds them."""
    if plan.waits:
        kind = OF_A_WAIT.get(kind, kind)
        if kind not in OF_A_WAIT.values():
            raise InvalidInput(_("This plan holds no injections, so there is no such print of it."))
    elif plan.result["status"] != "proposed":
        raise InvalidInput(_("There is nothing to print: this draft holds no mixture."))
    if kind in ARCHIVES and not plan.is_signed:
        raise InvalidInput(_("Only a signed plan goes to the archive."))
    language = plan.language if kind in FOR_STAFF else plan.patient.language
    with translation.override(language):
        return {
            "kind": kind,
            "subject_id": plan.public_id,
            "person_id": plan.patient.public_id,
            "title": str(DOCUMENTS[kind].title),
            "language": language,
            "context": plan_context(plan, kind=kind, language=language),
        }
