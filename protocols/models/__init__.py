"""What may be done: the formulary with its versions, and the plans that practitioners sign."""

from protocols.models.formulary import FormularyEntry, FormularyVersion, Ingredient, Product
from protocols.models.plans import (
    Acknowledgement,
    OpenAnswer,
    Plan,
    PlanStop,
    StandingAcknowledgement,
    StandingOverride,
)

__all__ = [
    "Acknowledgement",
    "FormularyEntry",
    "FormularyVersion",
    "Ingredient",
    "OpenAnswer",
    "Plan",
    "PlanStop",
    "Product",
    "StandingAcknowledgement",
    "StandingOverride",
]
