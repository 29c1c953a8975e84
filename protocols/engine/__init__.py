"""The protocol engine: facts, formulary and policy in; an explained proposal out.

Plain Python: no Django, no clock, no input or output. Same input, same bytes.
"""

from protocols.engine.canonical import canonical_json, fingerprint
from protocols.engine.compare import compare
from protocols.engine.earlier import speaks
from protocols.engine.edits import EditResult, Refusal, apply_edits
from protocols.engine.inputs.case import Case, parse_case
from protocols.engine.inputs.documents import build_formulary
from protocols.engine.inputs.formulary import Formulary
from protocols.engine.inputs.model import CaseError, Dose, Fault, MixedUnits
from protocols.engine.inputs.policy import POLICY_SCHEMA, Policy
from protocols.engine.propose import Proposal, propose
from protocols.engine.result import ENGINE_VERSION
from protocols.engine.verify import Discrepancy, verify

__all__ = [
    "ENGINE_VERSION", "POLICY_SCHEMA", "Case", "CaseError", "Discrepancy", "Dose", "EditResult", "Fault", "Formulary",
    "MixedUnits", "Policy", "Proposal", "Refusal", "apply_edits", "build_formulary", "canonical_json", "compare",
    "fingerprint", "parse_case", "propose", "speaks", "verify",
]  # fmt: skip
