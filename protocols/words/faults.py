"""What the second calculation does not agree with, and what an edit is refused for, in sentences."""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from mesoclinic.core.numbers import shown_number
from protocols.engine import Fault, Formulary
from protocols.engine.canonical import plain_number
from protocols.engine.edits import Refusal
from protocols.words.terms import TYPES, words_of


# ---------------------------------------------------------------------- faults and refusals
def explain_fault(fault: Fault) -> str:
    """One line: the field, what is wrong with it, and the nearest known words."""
    return f"{fault.path}: {fault_message(fault)}"


def fault_message(fault: Fault) -> str:
    """What is wrong, without the field: for a message beside it."""
    params = {key: shown_number(value) for key, value in fault.params.items()}
    template = FAULTS.get(fault.code)
    text = (
        _(template)
        % {
            **{"value": "", "minimum": "", "maximum": ""},
            **params,
            "expected": _(TYPES.get(params.get("expected", ""), params.get("expected", ""))),
        }
        if template
        else fault.code
    )
    if template and params.get("value") and "%(value)s" not in template:
        text += " " + _("(given: %(value)s)") % params
    if fault.suggestions:
        text += " " + _("Did you mean %(words)s?") % {"words": ", ".join(fault.suggestions)}
    return " ".join(text.split())


FAULTS = {
    "required": gettext_noop("This is needed."),
    "empty": gettext_noop("At least one entry is needed."),
    "wrong_type": gettext_noop("Expected %(expected)s."),
    "not_finite": gettext_noop("Expected a finite number."),
    "out_of_range": gettext_noop("Must lie between %(minimum)s and %(maximum)s."),
    "too_precise": gettext_noop("At most %(maximum)s decimal places."),
    "too_long": gettext_noop("Too many entries; at most %(maximum)s."),
    "unknown_key": gettext_noop("This name is not known."),
    "unknown_fact": gettext_noop("This question is not known."),
    "unknown_value": gettext_noop("“%(value)s” is not known."),
    "unknown_ingredient": gettext_noop("This ingredient is not known."),
    "duplicate": gettext_noop("“%(value)s” is given twice."),
    "contradiction": gettext_noop("“%(value)s” is switched on and off at once."),
    "total_area_out_of_range": gettext_noop(
        "The treated area of %(value)s cm² must lie between %(minimum)s and %(maximum)s cm²."
    ),
    "answered_and_waived": gettext_noop("This question is answered and waived at once."),
    "bad_text": gettext_noop("This text holds characters that cannot be kept."),
    "bad_currency": gettext_noop("“%(value)s” is no currency code of three capital letters."),
    "bad_document": gettext_noop("The file cannot be read: %(value)s"),
}


def explain_refusal(refusal: Refusal, formulary: Formulary) -> str:
    """Why an edit by hand was refused: the limit, its rule and its source."""
    words, params = words_of(formulary), refusal.params
    values = {
        key: shown_number(plain_number(value) if isinstance(value, Decimal) else value)
        if isinstance(value, Decimal | str)
        else value
        for key, value in params.items()
    }
    values["name"] = words.ingredient(params["ingredient"]) if "ingredient" in params else ""
    values["other"] = words.ingredient(params["with"]) if "with" in params else ""
    values["syringe_names"] = words.ingredient_list(params.get("syringe", ()))
    values["kept_names"] = words.ingredient_list(params.get("kept", ()))
    if refusal.code == "screened":
        values["message"] = " ".join(words.rule_message({"rule": rule}) for rule in params["rules"])
    for key in ("expected", "known"):
        if isinstance(values.get(key), list):
            values[key] = ", ".join(values[key])
    if refusal.code == "wrong_type":
        values["expected"] = _(TYPES.get(str(params.get("expected")), str(params.get("expected"))))
    text = _(REFUSALS.get(refusal.code, refusal.code)) % values
    if params.get("suggestions"):
        text += " " + _("Did you mean %(words)s?") % {"words": ", ".join(params["suggestions"])}
    return text


REFUSALS = {
    "no_plan": gettext_noop("There is no plan to edit."),
    "wrong_type": gettext_noop("Expected %(expected)s."),
    "wrong_fields": gettext_noop("This edit takes: %(expected)s."),
    "unknown_edit": gettext_noop("“%(value)s” is not a known edit."),
    "unknown_ingredient": gettext_noop("“%(value)s” is not a known ingredient."),
    "unknown_schedule": gettext_noop("“%(value)s” is not one of the schedules: %(known)s."),
    "diluent_follows": gettext_noop("%(name)s tops up by itself to the volume for the area."),
    "not_in_mixture": gettext_noop("%(name)s is not in the mixture."),
    "already_in_mixture": gettext_noop("%(name)s is in the mixture already."),
    "not_active": gettext_noop("%(name)s is not switched on in this clinic's formulary."),
    "screened": gettext_noop("%(name)s is screened out: %(message)s"),
    "prescription_only": gettext_noop("%(name)s is prescription only, which the policy does not allow."),
    "preference": gettext_noop("%(name)s is left out by preference."),
    "not_drawable": gettext_noop("%(name)s: volumes are drawn in steps of 0.05 mL."),
    "no_stock": gettext_noop("%(name)s: not enough in stock (%(available_ml)s mL)."),
    "no_volume": gettext_noop("%(name)s: its minimum of %(needed_ml)s mL is more than the area takes."),
    "serves_no_concern": gettext_noop("%(name)s serves none of the concerns."),
    "pair": gettext_noop("%(name)s must not meet %(other)s in one session."),
    "family": gettext_noop("%(name)s is of one family with %(kept_names)s; at most %(maximum)s of it."),
    "max_actives": gettext_noop("At most %(maximum)s active ingredients in a session."),
    "syringes": gettext_noop("%(name)s would need more than %(maximum)s syringes."),
    "small_syringe": gettext_noop(
        "The syringe with %(syringe_names)s would hold %(volume_ml)s of %(total_ml)s mL and serve %(points)s of "
        "%(of_points)s points: too few to be worth drawing. Take these out as well, or change them first."
    ),
    "volume": gettext_noop("The minimum volumes would exceed the %(target_ml)s mL for the area."),
    "budget": gettext_noop("The ingredients would exceed the budget of %(maximum)s."),
    "not_a_volume": gettext_noop("“%(value)s” is not a volume in mL."),
    "volume_below_min": gettext_noop("%(name)s: at least %(limit_ml)s mL (%(rule)s)."),
    "volume_above_max": gettext_noop("%(name)s: at most %(limit_ml)s mL (%(rule)s)."),
    "above_stock": gettext_noop("%(name)s: only %(limit_ml)s mL in stock."),
    "total_above_target": gettext_noop(
        "%(name)s: at most %(limit_ml)s mL beside the other ingredients; the area takes %(target_ml)s mL in all."
    ),
    "sessions_outside_rule": gettext_noop("Between %(minimum)s and %(maximum)s sessions for this severity."),
}
