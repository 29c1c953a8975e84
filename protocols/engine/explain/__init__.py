"""Explain: a result as an answer, whole: what was found, what is mixed, why, when, and for how much."""

from protocols.engine.explain.whole import explain, sealed

__all__ = ["explain", "sealed"]
