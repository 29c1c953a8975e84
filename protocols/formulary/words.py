"""Words for what a formulary names by a key: one table of each kind, beside the data, for pages, prints and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

CLASS_NAMES: Mapping[str, Any] = {
    "isoflavone": _("Isoflavone"),
    "peptide": _("Peptide"),
    "vasodilator": _("Circulation agent"),
    "organic_silicon": _("Organic silicon"),
    "vitamin": _("Vitamin"),
    "amino_acid": _("Amino acid"),
    "mineral": _("Mineral"),
    "coenzyme": _("Co-enzyme"),
    "nucleic_acid": _("Nucleic acid"),
    "drug": _("Medicine"),
    "other": pgettext_lazy("ingredient class", "Other"),
}
DIRECTION_NAMES: Mapping[str, Any] = {
    "supports": _("supports"),
    "mixed": _("mixed"),
    "no_advantage": _("no advantage"),
    "untested": _("untested"),
}
GRADE_NAMES: Mapping[str, Any] = {
    "A": _("Randomised trial or systematic review of injection into the scalp"),
    "B": _("Controlled human study by another route, or of a mixture"),
    "C": _("Uncontrolled human series, observation or association"),
    "D": _("Laboratory, tissue, animal or mechanism only"),
    "E": _("Tradition, marketing or practice habit only"),
}
ROLE_NAMES: Mapping[str, Any] = {"active": _("active"), "carrier": _("carrier"), "diluent": _("diluent")}
FLAG_NAMES: Mapping[str, Any] = {
    "vegan": _("vegan"),
    "animal_origin": _("animal origin"),
    "contains_sulfite": _("contains sulfite"),
    "contains_ethanol": _("contains alcohol"),
    "contains_propylene_glycol": _("contains propylene glycol"),
    "contains_benzyl_alcohol": _("contains benzyl alcohol"),
}
CONTAINER_NAMES: Mapping[str, Any] = {
    "vial": _("vial"),
    "ampoule": _("ampoule"),
    "prefilled_syringe": _("prefilled syringe"),
    "vial_lyophilised": _("vial lyophilised"),
}
SOURCE_NAMES: Mapping[str, Any] = {
    "clinic_default": _("Clinic default"),
    "chemistry_principle": _("Chemistry principle"),
    "product_label": _("Product label"),
    "web_article": _("Web article"),
}
NOT_LITERATURE = frozenset(SOURCE_NAMES)
BASIS_NAMES: Mapping[str, Any] = {
    "clinic_default": _("Clinic default"),
    "product_labelling": _("Product labelling"),
    "published_protocol": _("Published protocol"),
    "guideline": _("Guideline"),
    "published": _("Published"),
    "precaution": _("Precaution: a case report, an analogy or a chemical argument"),
}
PAIR_NAMES: Mapping[tuple[str, str], Any] = {
    ("never_mix", "syringe"): _("Never in the same syringe"),
    ("never_mix", "session"): _("Never in the same session"),
    ("separate_syringe", "syringe"): _("Separate syringe"),
    ("separate_syringe", "session"): _("Separate session"),
    ("use_immediately", "syringe"): _("Same syringe only if injected at once"),
    ("use_immediately", "session"): _("Same session only if injected at once"),
}
SEVERITY_NAMES: Mapping[str, Any] = {  # the gravest first
    "absolute": pgettext_lazy("severity of a rule", "Stop"),
    "exclude": pgettext_lazy("severity of a rule", "Left out"),
    "caution": pgettext_lazy("severity of a rule", "Caution"),
    "info": pgettext_lazy("severity of a rule", "Note"),
}
VERDICT_NAMES: Mapping[str, Any] = {
    "supported": _("Supported"),
    "partly_supported": _("Partly supported"),
    "not_supported": _("Not supported"),
    "incorrect": _("Incorrect"),
}
STATUS_NAMES: Mapping[str, Any] = {
    "on": _("Switched on"),
    "off": _("Switched off"),
    "prescription": _("Prescription only"),
    "flagged": _("To be confirmed by the director"),
}
COST_FACTOR_NAMES: Mapping[str, Any] = {
    "rural": _("rural"),
    "town": _("town"),
    "city": _("city"),
    "large_city": _("large city"),
    "premium_district": _("premium district"),
    "nurse_under_prescriber": _("nurse under prescriber"),
    "physician": _("physician"),
    "dermatologist": _("dermatologist"),
    "hair_specialist_lead": _("hair specialist lead"),
}


def cost_line_words(line: Mapping[str, Any]) -> str:
    """Return what one line of an estimate is for, such as “Region: large city” or “Course of 5 sessions”."""
    key = str(line["key"])
    if line["item"] in ("region", "provider"):
        name = str(COST_FACTOR_NAMES.get(key, key.replace("_", " ")))
        said = gettext("Region: %(name)s") if line["item"] == "region" else gettext("Provider: %(name)s")
        return said % {"name": name}
    return {
        "base": gettext("One session, base"),
        "injections": gettext("Up to %(n)s injections"),
        "ingredients": gettext("Ingredients of a session") if key == "1" else gettext("Ingredients of session %(n)s"),
        "package": gettext("Course of %(n)s sessions"),
    }[line["item"]] % {"n": key}
