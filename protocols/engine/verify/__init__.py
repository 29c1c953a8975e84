"""Verify: a second calculation of everything that an answer says, before it can be signed.

Written apart from the first, from the documents themselves: it shares no arithmetic with it and works in fractions,
where the first works in whole drawing steps and decimals. It does not choose anything; it recomputes every dose,
concentration, total, cap, interval, pair, rule, price and value of the answer it is given, be it the engine's own or
edited by hand, and names each difference. An answer with a difference must not be signed.
"""

from protocols.engine.verify.context import Context, Discrepancy
from protocols.engine.verify.run import context_of, verify

__all__ = ["Context", "Discrepancy", "context_of", "verify"]
