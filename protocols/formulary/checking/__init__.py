"""Check formulary documents: every word they use is defined, every number stands where it may."""

from protocols.formulary.checking.documents import check_documents

__all__ = ["check_documents"]
