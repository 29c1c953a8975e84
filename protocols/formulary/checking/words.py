"""What every check of a formulary uses: the documents by key, and that each word and source is defined once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

RULE_BASES = {"guideline", "product_labelling", "published", "precaution", "clinic_default"}
FLAGS = {
    "vegan", "animal_origin", "allergens", "contains_sulfite", "contains_ethanol", "contains_propylene_glycol",
    "contains_benzyl_alcohol", "note",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The documents that are being checked, with what the checks look up by key."""

    d: Mapping[str, Any]
    facts: Mapping[str, Any]
    sources: Mapping[str, Any]
    claims: set[str]
    ingredients: Mapping[str, Any]
    concerns: set[str]
    referrals: set[str]
    weights: Mapping[str, Any]

    @classmethod
    def of(cls, d: Mapping[str, Any]) -> Checked:
        vocabulary = d["vocabulary"]
        return cls(
            d=d,
            facts=vocabulary["facts"]["facts"],
            sources={entry["id"]: entry for entry in d["sources"]["sources"]},
            claims={entry["id"] for entry in d["sources"]["article_claims"]},
            ingredients={entry["key"]: entry for entry in d["ingredients"]["ingredients"]},
            concerns={entry["key"] for entry in vocabulary["concerns"]["concerns"]},
            referrals={entry["key"] for entry in d["course"]["referral_rules"]},
            weights=d["course"]["composition"]["selection_weights"],
        )


def defined_twice(check: Checked) -> Iterator[str]:
    for name, entries, field in (
        ("ingredients", check.d["ingredients"]["ingredients"], "key"),
        ("concerns", check.d["concerns"]["concerns"], "key"),
        ("screening rules", check.d["screening"]["rules"], "key"),
        ("incompatibilities", check.d["screening"]["incompatibilities"], "key"),
        ("referral rules", check.d["course"]["referral_rules"], "key"),
        ("sources", check.d["sources"]["sources"], "id"),
        ("article claims", check.d["sources"]["article_claims"], "id"),
    ):
        seen: set[str] = set()
        for entry in entries:
            if entry[field] in seen:
                yield f"{name}: {entry[field]} is defined twice"
            seen.add(entry[field])


def unknown_sources(check: Checked) -> Iterator[str]:
    """Wherever source_ids stands, in any document, each id is a source."""
    for name in ("ingredients", "concerns", "screening", "course", "sources"):
        for path, key, value in _walk(check.d[name], name):
            if key in ("source_ids", "red_flag_sources"):
                for source in value:
                    if source not in check.sources:
                        yield f"{path}: unknown source {source}"
            elif key == "article_claims" and name != "sources":
                for claim in value:
                    if claim not in check.claims:
                        yield f"{path}: unknown article claim {claim}"


def sourced(check: Checked, where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    if not entry.get("source_ids"):
        yield f"{where}: it names no source"


def basis(check: Checked, where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    if "basis" in entry and entry["basis"] not in RULE_BASES:
        yield f"{where}: unknown basis {entry['basis']}"
    if "evidence_grade" in entry and entry["evidence_grade"] not in check.d["ingredients"]["evidence_scale"]:
        yield f"{where}: unknown evidence grade {entry['evidence_grade']}"


def fraction(value: Any) -> Fraction:
    if isinstance(value, bool):
        raise ValueError(value)
    return Fraction(Decimal(str(value)))


def review(where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """When to look again, in whole weeks of at most a year."""
    review = entry["review"]
    if review["unit"] != "weeks" or not isinstance(review["value"], int) or not 1 <= review["value"] <= 52:
        yield f"{where}: a review is a whole number of weeks, at most 52"


def unknown(where: str, entry: Mapping[str, Any], known: Iterable[str]) -> Iterator[str]:
    for name in sorted(set(entry) - set(known), key=str):
        yield f"{where}: unknown field {name}"


def _walk(node: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(node, Mapping):
        name = node.get("key") or node.get("id")
        here = f"{path} {name}" if isinstance(name, str) else path
        for key, value in node.items():
            yield here, key, value
            yield from _walk(value, here)
    elif isinstance(node, list):
        for item in node:
            yield from _walk(item, path)
