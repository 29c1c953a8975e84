"""What a formulary version says of its ingredients, for reading: the list, one page each, names for an intake."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mesoclinic.core.numbers import shown_number
from mesoclinic.core.sorting import by_words
from patients.search.keys import fold
from protocols.engine import Formulary
from protocols.engine.canonical import plain_number
from protocols.formulary.queries import built_formulary, formulary_in_force
from protocols.formulary.texts import spoken_documents
from protocols.formulary.words import (
    BASIS_NAMES,
    CLASS_NAMES,
    CONTAINER_NAMES,
    DIRECTION_NAMES,
    FLAG_NAMES,
    GRADE_NAMES,
    NOT_LITERATURE,
    PAIR_NAMES,
    ROLE_NAMES,
    SEVERITY_NAMES,
    SOURCE_NAMES,
    VERDICT_NAMES,
)
from protocols.models import FormularyEntry, FormularyVersion, Ingredient

# ------------------------------------------------------------------ names


def ingredient_choices() -> list[tuple[str, str]]:
    """(key, name) of every ingredient of the formulary in force, for the intake's question on earlier reactions."""
    version = formulary_in_force()
    rows = Ingredient.objects.filter(entries__version=version) if version else Ingredient.objects.all()
    return list(rows.order_by("name").values_list("key", "name"))


_KEY = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b")
_PERSON = re.compile(r"([\w' -]+?) [A-Z]{1,4}(?=[.,])")  # a first author: the family name before the initials


def short_source(key: str, item: Mapping[str, Any]) -> str:
    """Return a source as people say it: Loing 2013, World Health Organization 2010; without an author its title."""
    if key in NOT_LITERATURE:
        return str(SOURCE_NAMES[key])
    citation = str(item.get("citation", ""))
    words, year = key.split("_"), item.get("year")
    person, house = _PERSON.match(citation), re.split(r"[.:(]", citation)[0].strip()
    initials = "".join(word[0] for word in house.split() if word[0].isupper()).lower()
    if "label" in words:
        return " ".join(words).capitalize()
    if person:
        name = person[1]
    elif house and words[0] in (house.lower().split()[0], initials, initials[1:]):  # FDA of USFDA
        name = house
    else:  # signed by nobody: as it is called among those who keep the formulary
        return " ".join(words).capitalize()
    return f"{name} {year}" if year else name


@dataclass(frozen=True, kw_only=True)
class Source:
    key: str
    short: str
    citation: str
    supports: str
    limitations: str
    url: str
    identifier: str
    unchecked: bool


@dataclass(frozen=True, kw_only=True)
class ConcernLine:
    """What an ingredient is used for: habit (strength) apart from evidence (grade and direction)."""

    key: str
    label: str
    strength: int
    grade: str
    grade_text: str
    direction: str
    direction_key: str
    note: str
    first_choice: bool
    label_only: str  # set where the claim rests on the web article or on habit alone
    sources: tuple[Source, ...]


@dataclass(frozen=True, kw_only=True)
class RuleLine:
    key: str
    severity: str
    severity_text: str
    message: str
    rationale: str
    until: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, kw_only=True)
class PairLine:
    key: str
    name: str
    verdict: str
    severity: str
    scope: str
    rationale: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """Least, usual and most per session, volume in mL beside the dose in its unit."""

    volumes: tuple[str, str, str]
    doses: tuple[str, str, str]
    dose_unit: str
    minimum_x: str
    usual_x: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the list, or of a version's page."""

    entry: FormularyEntry
    key: str
    name: str
    class_name: Any
    role: str
    concerns: tuple[ConcernLine, ...]
    amounts: Amounts
    stock: str
    stock_with_points: str  # for the API, whose numbers are the same in every language
    grades: frozenset[str]
    synonyms: tuple[str, ...]

    @property
    def needs_confirmation(self) -> bool:
        return self.entry.is_active and self.entry.confirmation_required and self.entry.confirmed_at is None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement of the web article that the product started from, and how far it can be trusted."""

    id: str
    statement: str
    verdict: str
    verdict_text: str
    article_alone: bool
    assessment: str
    say_instead: str
    sources: tuple[Source, ...]


class Catalogue:
    """One formulary version, read."""

    def __init__(self, version: FormularyVersion) -> None:
        self.version = version
        self.documents = spoken_documents(version)  # in the reader's language
        self.formulary: Formulary = built_formulary(version)
        self.raw: dict[str, dict[str, Any]] = {
            item["key"]: item for item in self.documents["ingredients"]["ingredients"]
        }
        self._sources = {item["id"]: item for item in self.documents["sources"]["sources"]}
        self._concerns = {item["key"]: item for item in self.documents["vocabulary"]["concerns"]["concerns"]}
        self._anchors = {item["key"]: item["anchors"] for item in self.documents["concerns"]["concerns"]}
        self._rules = {item["key"]: item for item in self.documents["screening"]["rules"]}
        self._pairs = {item["key"]: item for item in self.documents["screening"]["incompatibilities"]}

    # -------------------------------------------------------------- words
    def name(self, key: str) -> str:
        return str(self.raw[key]["name"]) if key in self.raw else key

    def concern_label(self, key: str) -> str:
        return str(self._concerns[key]["label"]) if key in self._concerns else key

    def concern_choices(self) -> list[tuple[str, str]]:
        labels = [(key, str(item["label"])) for key, item in self._concerns.items()]
        return sorted(labels, key=lambda pair: by_words(pair[1]))

    def source(self, key: str) -> Source:
        item = self._sources.get(key, {})
        url, identifier = "", ""
        if item.get("doi"):
            url, identifier = f"https://doi.org/{item['doi']}", f"doi {item['doi']}"
        elif item.get("pmid"):
            url, identifier = f"https://pubmed.ncbi.nlm.nih.gov/{item['pmid']}/", f"PMID {item['pmid']}"
        return Source(
            key=key,
            short=short_source(key, item),
            citation=item.get("citation", key),
            supports=item.get("supports", ""),
            limitations=item.get("limitations", ""),
            url=url,
            identifier=identifier,
            unchecked=item.get("verification") == "from_knowledge" and item.get("kind") not in NOT_LITERATURE,
        )

    def readable(self, text: str) -> str:
        """Return a text of the formulary with each source that it names by its key as people say it."""
        return _KEY.sub(lambda found: self.source(found[0]).short if found[0] in self._sources else found[0], text)

    def sources(self, keys: Iterable[str]) -> tuple[Source, ...]:
        return tuple(self.source(key) for key in keys)

    def stock_text(self, key: str, *, written: Callable[[Any], str] = shown_number) -> str:
        """“1.875 mg/mL, ampoule 3 mL”; ``written`` writes its numbers."""
        stock = self.raw[key]["stock"]
        container = CONTAINER_NAMES.get(stock["container"], stock["container"].replace("_", " "))
        return (
            f"{written(stock['concentration'])} {stock['concentration_unit']}, {container} "
            f"{written(stock['container_volume'])} {stock['container_volume_unit']}"
        )

    # -------------------------------------------------------------- parts
    def concern_lines(self, key: str) -> tuple[ConcernLine, ...]:
        lines = [
            ConcernLine(
                key=line["concern"],
                label=self.concern_label(line["concern"]),
                strength=int(line["strength"]),
                grade=line["evidence_grade"],
                grade_text=str(GRADE_NAMES[line["evidence_grade"]]),
                direction=str(DIRECTION_NAMES[line["direction"]]),
                direction_key=line["direction"],
                note=line["note"],
                first_choice=key in self._anchors.get(line["concern"], {}).get("first_choice", ()),
                label_only=self._rests_on(line),
                sources=self.sources(line["source_ids"]),
            )
            for line in self.raw[key]["concerns"]
        ]
        return tuple(sorted(lines, key=lambda line: (-line.strength, line.grade, by_words(line.label))))

    def _rests_on(self, line: Mapping[str, Any]) -> str:
        kinds = {self._sources[source]["kind"] for source in line["source_ids"] if source in self._sources}
        if "web_article" in kinds and line["direction"] == "untested":  # as the engine has it
            return str(_("Web article only"))
        if kinds and kinds <= {"web_article", "clinic_default"} and line["evidence_grade"] == "E":
            return str(_("Habit or marketing only"))
        return ""

    def amounts(self, key: str) -> Amounts:
        session = self.raw[key]["per_session"]
        volume, dose = session["volume"], session["dose"]
        most = Decimal(str(volume["max"])) or Decimal(1)

        def place(value: Any) -> str:
            """Where a volume stands on a scale from 0 to the most, drawn from x = 24 to 354."""
            return plain_number((24 + 330 * Decimal(str(value)) / most).quantize(Decimal("0.1")))

        return Amounts(
            volumes=(_two(volume["min"]), _two(volume["usual"]), _two(volume["max"])),
            doses=(_plain(dose["min"]), _plain(dose["usual"]), _plain(dose["max"])),
            dose_unit=dose["unit"],
            minimum_x=place(volume["min"]),
            usual_x=place(volume["usual"]),
        )

    def rule_lines(self, key: str) -> tuple[RuleLine, ...]:
        """The rules that aim at the ingredient, by severity, then as the formulary lists them."""
        bit = 1 << self.formulary.ingredients[key].index
        order = list(SEVERITY_NAMES)
        lines = [
            RuleLine(
                key=rule.key,
                severity=rule.severity,
                severity_text=str(SEVERITY_NAMES[rule.severity]),
                message=self._rules[rule.key]["message"],
                rationale=self._rules[rule.key].get("rationale", ""),
                until=self._rules[rule.key].get("until", ""),
                sources=self.sources(rule.sources),
            )
            for rule in self.formulary.rules
            if rule.key in self._rules and (rule.scope.mask & bit or rule.scope.kind == "listed_in_fact")
        ]
        return tuple(sorted(lines, key=lambda line: order.index(line.severity)))

    def pair_lines(self, key: str) -> tuple[PairLine, ...]:
        mine = self.formulary.ingredients[key].index
        lines = []
        for pair in self.formulary.pairs:
            others = [item for item in self.formulary.by_index if pair.joins(mine, item.index)]
            if not others:
                continue
            everything = len(others) > 6
            lines.append(
                PairLine(
                    key=pair.key,
                    name=str(_("Every other active ingredient"))
                    if everything
                    else ", ".join(self.name(o.key) for o in others),
                    verdict=str(PAIR_NAMES[(pair.severity, pair.scope)]),
                    severity=pair.severity,
                    scope=pair.scope,
                    rationale=self._pairs[pair.key]["rationale"],
                    sources=self.sources(pair.sources),
                )
            )
        weight = {"never_mix": 0, "separate_syringe": 1, "use_immediately": 2}
        return tuple(sorted(lines, key=lambda line: (weight[line.severity], by_words(line.name))))

    def families(self, key: str) -> list[tuple[str, str]]:
        """(the others, why) of every family limit that the ingredient counts in."""
        ingredient = self.formulary.ingredients[key]
        found = []
        for family in self.formulary.composition.families:
            if family.mask >> ingredient.index & 1:
                others = [self.name(other) for other in self.formulary.keys(family.mask) if other != key]
                if others:
                    found.append((", ".join(others), gettext(family.reason)))
        return found

    # -------------------------------------------------------------- one page
    def page(self, entry: FormularyEntry) -> dict[str, Any]:
        """Everything that the ingredient's page shows."""
        key = entry.ingredient.key
        raw = self.raw[key]
        session, solution, storage, flags = raw["per_session"], raw["solution"], raw["storage"], raw["flags"]
        return {
            "key": key,
            "name": raw["name"],
            "class_name": CLASS_NAMES.get(raw["class"], raw["class"]),
            "kind": raw["class"],
            "role": raw["role"],
            "role_name": ROLE_NAMES.get(raw["role"], raw["role"]),
            "synonyms": raw.get("synonyms") or [],
            "mechanism": raw["mechanism"],
            "origin": raw["origin"]["detail"],
            "named_in_article": raw["named_in_article"],
            "concerns": self.concern_lines(key),
            "amounts": self.amounts(key),
            "stock": self.stock_text(key),
            "max_dose": f"{shown_number(session['max_dose']['value'])} {session['max_dose']['unit']}",
            "basis": BASIS_NAMES.get(session["basis"], session["basis"]),
            "basis_note": session.get("basis_note") or "",
            "min_interval_days": session["min_interval_days"],
            "ph": (shown_number(solution["ph_min"]), shown_number(solution["ph_max"])),
            "solution_note": solution.get("note") or "",
            "storage": storage,
            "tags": self._tags(flags),
            "allergens": [self._allergen(name) for name in flags["allergens"]],
            "flags_note": flags.get("note") or "",
            "regulatory": raw["regulatory"],
            "rules": self.rule_lines(key),
            "pairs": self.pair_lines(key),
            "families": self.families(key),
            "pair_advice": self.documents["screening"]["default_pair_advice"],
            "sources": self.sources(self._every_source(raw)),
            "identity": self._identity(raw),
        }

    @staticmethod
    def _tags(flags: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """(status, words): what matters to allergy, belief and wishes."""
        tags: list[tuple[str, Any]] = [("", capfirst(FLAG_NAMES["vegan"]) if flags["vegan"] else _("Not vegan"))]
        found = [
            ("warn", capfirst(words))
            for flag, words in FLAG_NAMES.items()
            if flag.startswith("contains_") and flags.get(flag)
        ]
        if not flags.get("contains_ethanol"):
            tags.append(("", _("Alcohol-free")))
        return tags + found

    def _allergen(self, value: str) -> str:
        answers = self.documents["vocabulary"]["facts"]["facts"].get("allergies", {}).get("values", {})
        found = answers.get(value, value.replace("_", " "))
        return str(found["label"] if isinstance(found, Mapping) else found)

    @staticmethod
    def _every_source(raw: Mapping[str, Any]) -> list[str]:
        keys = [source for line in raw["concerns"] for source in line["source_ids"]] + list(raw["source_ids"])
        return list(dict.fromkeys(keys))

    @staticmethod
    def _identity(raw: Mapping[str, Any]) -> list[tuple[Any, str]]:
        found = [
            (_("INCI"), raw.get("inci_name")),
            (_("INN"), raw.get("inn_name")),
            (_("CAS"), (raw.get("cas") or {}).get("number")),
            (_("UNII"), (raw.get("unii") or {}).get("code")),
        ]
        return [(label, str(value)) for label, value in found if value]

    def mixture_evidence(self) -> list[dict[str, Any]]:
        """What is known of mixtures as such, for staff who are asked how well it is proven."""
        return [
            {
                "statement": item["statement"],
                "grade": item["evidence_grade"],
                "grade_text": GRADE_NAMES[item["evidence_grade"]],
                "direction": DIRECTION_NAMES[item["direction"]],
                "sources": self.sources(item["source_ids"]),
            }
            for item in self.documents["ingredients"]["mixture_evidence"]
        ]

    def claims(self) -> list[Claim]:
        """The web article's statements with their verdicts, in the article's order."""
        return [
            Claim(
                id=item["id"],
                statement=item["paraphrase"],
                verdict=item["verdict"],
                verdict_text=str(VERDICT_NAMES[item["verdict"]]),
                article_alone=item["rests_on_article_alone"],
                assessment=item["assessment"],
                say_instead=item["product_wording"],
                sources=self.sources(key for key in item["source_ids"] if key != "web_article"),
            )
            for item in self.documents["sources"]["article_claims"]
        ]

    def unproven_claim(self) -> dict[str, Any]:
        """The marketing figure that was traced, with the label under which staff may see it."""
        return dict(self.documents["sources"]["claim_tracing"])

    # -------------------------------------------------------------- rows
    def row(self, entry: FormularyEntry) -> Row:
        key = entry.ingredient.key
        lines = self.concern_lines(key)
        return Row(
            entry=entry,
            key=key,
            name=self.name(key),
            class_name=CLASS_NAMES.get(entry.ingredient_class, entry.ingredient_class),
            role=entry.role,
            concerns=lines,
            amounts=self.amounts(key),
            stock=self.stock_text(key),
            stock_with_points=self.stock_text(key, written=str),
            grades=frozenset(line.grade for line in lines),
            synonyms=tuple(self.raw[key].get("synonyms") or ()),
        )

    def rows(self) -> list[Row]:
        """Every ingredient, by the name that is shown."""
        entries = self.version.entries.select_related("ingredient", "confirmed_by")
        rows = [self.row(entry) for entry in entries if entry.ingredient.key in self.raw]
        return sorted(rows, key=lambda row: (by_words(row.name), row.key))


def _plain(value: Any) -> str:
    return plain_number(Decimal(str(value)))


def _two(value: Any) -> str:
    return f"{Decimal(str(value)):.2f}"


def matching(
    rows: Iterable[Row], *, q: str = "", kind: str = "", concern: str = "", status: str = "", grade: str = ""
) -> list[Row]:
    """The rows that every given filter lets through."""
    needle = fold(q)
    tests: dict[str, Callable[[Row], bool]] = {
        "": lambda row: True,
        "on": lambda row: row.entry.is_active,
        "off": lambda row: not row.entry.is_active,
        "prescription": lambda row: row.entry.prescription_only,
        "flagged": lambda row: row.entry.confirmation_required,
    }
    return [
        row
        for row in rows
        if (not needle or any(needle in fold(name) for name in (row.name, row.key, *row.synonyms)))
        and (not kind or row.entry.ingredient_class == kind)
        and (not concern or any(line.key == concern for line in row.concerns))
        and (not grade or any(line.grade == grade and (not concern or line.key == concern) for line in row.concerns))
        and tests[status](row)
    ]
