from __future__ import annotations

import os
import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from patients.intake.medicines import (
    KNOWN,
    _names,
    classes_of,
    entries_of,
    lines_of,
    medicines_document,
    read_medicines,
    to_check,
)
from patients.search.keys import fold
from patients.search.phrases import tokens_in
from patients.statements.said import Offer, meanings_document, statements_in
from patients.vocabulary import load_vocabulary, read_yaml
from tests.patients.sentences import MEDICINE_LINES, NO_STATEMENT, STATEMENTS

LINES = 200_000 if os.environ.get("MESOCLINIC_DEEP") == "1" else 1_500


def test_the_table_has_at_least_150_sentences() -> None:
    assert len({row[0] for row in MEDICINE_LINES}) + len({row[:2] for row in STATEMENTS}) >= 150
    assert len({row[0] for row in MEDICINE_LINES}) == len(MEDICINE_LINES)


@pytest.mark.parametrize(("text", "classes", "offered", "is_open"), MEDICINE_LINES)
def test_a_line_sets_or_offers_what_it_says(text: str, classes: set[str], offered: set[str], is_open: bool) -> None:
    named = read_medicines(text)
    assert set(classes_of(named)) == classes
    assert {value for one in named for value in one.offers} == offered
    assert any(one.is_open for one in named) is is_open
    assert bool(statements_in(medicines=text)) is is_open
    assert {one.text for one in named} <= {" ".join(part.split()) for part in text.split(";")}


@pytest.mark.parametrize(("kind", "text", "offered"), STATEMENTS)
def test_words_offer_the_tick_they_mean(kind: str, text: str, offered: set[tuple[str, str]]) -> None:
    [said] = statements_in(**{kind: text})
    pairs = {(offer.fact, offer.value) for offer in said.offers}
    assert said.text == text
    assert offered <= pairs
    assert bool(pairs) is bool(offered)


@pytest.mark.parametrize(("kind", "text"), NO_STATEMENT)
def test_what_is_no_news_makes_no_statement(kind: str, text: str) -> None:
    assert statements_in(**{kind: text}) == []


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_what_a_line_means_does_not_depend_on_the_reader(language: str) -> None:
    wanted = [
        (classes_of(read_medicines(text)), to_check(entries_of(read_medicines(text)))) for text, *_ in MEDICINE_LINES
    ]
    with translation.override(language):
        found = [
            (classes_of(read_medicines(text)), to_check(entries_of(read_medicines(text))))
            for text, *_ in MEDICINE_LINES
        ]
    assert found == wanted


def test_an_offer_says_its_tick_in_the_readers_language() -> None:
    with translation.override("fr"):
        [said] = statements_in(note="fièvre, prend du Xarelto")
    assert said.offers[0] == Offer(
        fact="fever_or_acute_illness", value="true", label="Fièvre ou infection aiguë aujourd'hui"
    ) or said.offers[0].label.startswith("Fièvre")
    assert [offer.value for offer in said.offers] == ["true", "doac"]


def test_a_line_is_kept_once_with_all_that_was_made_of_it() -> None:
    named = read_medicines("warfarin since my stroke, paracetamol\nwarfarin since my stroke, paracetamol\nmoon dust")
    assert {text: len(ones) for text, ones in lines_of(named).items()} == {
        "warfarin since my stroke, paracetamol": 2,
        "moon dust": 1,
    }
    first, second = entries_of(named)
    assert (first["atc"], first["classes"], first["state"], first["leftover"]) == (
        "B01AA03", ["vitamin_k_antagonist"], KNOWN, "stroke",
    )  # fmt: skip
    assert [medicine["name"] for medicine in first["medicines"]] == ["warfarin", "paracetamol"]
    assert to_check([first, second]) == ["warfarin since my stroke, paracetamol", "moon dust"]


# ------------------------------------------------------------------ nothing known is ever lost

JOINS = [
    ", ",
    " + ",
    "/",
    "; ",
    " & ",
    " and ",
    " et ",
    " y ",
    " e ",
    " with ",
    " avec ",
    " con ",
    "\t",
    " - ",
    " – ",
    "\n",
    " ",
]
JOINS += [". ", " (", ") ", ",", "+", "\u00a0", "\u2028", " | ", " und ", "; no ", ", sans ", " 1-0-1 ", " 5 mg "]
STRENGTHS = [
    "",
    " 5 mg",
    " 75mg",
    " 0,5 mL",
    " 2.5mg",
    " 100",
    " 1 g/8h",
    " 20\u202fmg",
    " 500 UI",
    " 1/2",
    " 5 %",
    " x2",
]


def _noise() -> list[str]:
    kinds = read_yaml(Path("patients/vocabulary/words.yaml"))["words"]
    forms = {"spread"}  # a cream answers what is asked of some names, and is tried by hand
    return [str(word) for kind, by in kinds.items() if kind not in forms for words in by.values() for word in words]


def _written(name: str, rng: random.Random) -> str:
    way = rng.randrange(8)
    if way == 0:
        return name.upper()
    if way == 1:
        return unicodedata.normalize("NFD", name)
    if way == 2:
        at = rng.randrange(1, len(name))
        return name[:at] + rng.choice("\u200b\u00ad\u2060\ufeff") + name[at:]
    if way == 3:
        return name.title()
    if way == 4:
        return "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    if way == 5:
        return name.replace("-", "\u2011").replace("'", "’").replace(" ", "\u00a0")
    return name


def test_no_known_name_of_a_class_is_lost_in_random_lines() -> None:
    rng = random.Random("said")
    names = {
        " ".join(keys): spelling.medicine for keys, spelling in _names().spellings.items() if spelling.medicine.may_mean
    }
    spelt, noise, lost = sorted(names), _noise(), []
    for _ in range(LINES):
        chosen = rng.choices(spelt, k=rng.randint(1, 4))
        line = rng.choice(["", "", "", rng.choice(noise) + " "])
        for name in chosen:
            said = rng.choice(
                ["", "", " " + rng.choice(noise), " " + rng.choice(["moon dust", "Zubrovic", "für Herz"])]
            )
            line += _written(name, rng) + rng.choice(STRENGTHS) + said + rng.choice(JOINS)
        named = read_medicines(line)
        found = {*classes_of(named), *(value for one in named for value in one.offers)}
        if "antiplatelet_dual" in found:
            found.add("antiplatelet_single")
        for name in chosen:
            wanted, medicine = set(names[name].may_mean), names[name]
            kept = wanted <= found if not medicine.offers else bool(wanted & found)
            if not kept and not _is_within_a_longer_name(name, line):
                lost.append((name, line, found))
    assert lost[:5] == []


def _is_within_a_longer_name(name: str, line: str) -> bool:
    """True where the line has a longer name with all the words of this one, which says better what it is."""
    words = f" {' '.join(token.key for token in tokens_in(line))} "
    longer = (" ".join(keys) for keys in _names().spellings)
    return any(name in other and other != name and f" {other} " in words for other in longer)


# ------------------------------------------------------------------ the data


def _classes_that_rules_read() -> set[str]:
    values: set[str] = set()

    def look(trigger: Any) -> None:
        if isinstance(trigger, dict):
            if trigger.get("fact") == "medications":
                value = trigger["value"]
                values.update(value if isinstance(value, list) else [value])
            for part in trigger.values():
                look(part)
        elif isinstance(trigger, list):
            for part in trigger:
                look(part)

    look(read_yaml(Path("protocols/formulary/screening.yaml"))["rules"])
    return values


# What has no brand in a market: nothing is sold there under one, or only a question can tell.
FEW_BRANDS = {
    "levodopa_alone": 0, "herbal_bleeding_risk": 1, "vitamin_a_supplement": 0, "dipyridamole": 1, "theophylline": 1,
    "antiplatelet_dual": 1, "minoxidil_oral": 1, "disulfiram_or_metronidazole": 2, "sulfonamide_antibiotic": 1,
    "oral_retinoid_other": 2, "vitamin_k_antagonist": 1, "biotin_high_dose": 1, "minoxidil_topical": 1,
    "lithium": 1, "valproate": 1,
}  # fmt: skip


@pytest.mark.parametrize("market", [("FR", "BE", "CH"), ("ES",), ("GB", "US")], ids=["fr", "es", "en"])
def test_each_class_that_a_rule_reads_has_brands_in_each_market(market: tuple[str, ...]) -> None:
    sold: dict[str, set[str]] = {}
    for spelling in _names().spellings.values():
        medicine = spelling.medicine
        for brand, countries in _names().brands[medicine.name].items():
            if set(countries) & set(market):
                for value in medicine.may_mean:
                    sold.setdefault(value, set()).add(brand)
    found = {value: len(sold.get(value, ())) for value in _classes_that_rules_read()}
    assert {value: n for value, n in found.items() if n < FEW_BRANDS.get(value, 3)} == {}


def test_there_are_at_least_250_brands_each_under_one_medicine_with_its_countries() -> None:
    document = medicines_document()
    brands = [
        (brand, where.split()) for entry in document["medicines"] for brand, where in entry.get("brands", {}).items()
    ]
    assert len({fold(brand) for brand, _where in brands}) == len(brands) >= 250
    assert {country for _brand, where in brands for country in where} == set(document["brands_to_look_up_in"])
    for brand, _where in brands:
        assert any(one.name for one in read_medicines(brand)) or any(one.ask for one in read_medicines(brand)), brand


def test_each_ambiguous_word_has_a_reason_and_a_decision() -> None:
    for entry in medicines_document()["ambiguous"]:
        assert entry["why"].endswith(".")
        assert statements_in(note=f"{entry['word']} today") == [], entry["word"]


def test_every_allergy_and_illness_of_the_intake_has_words() -> None:
    facts = load_vocabulary().facts
    said = {entry["fact"]: set(entry["values"]) for entry in meanings_document()["meanings"]}
    for fact in ("allergies", "conditions"):
        assert {choice.key for choice in facts[fact].values if not choice.retired} - said[fact] == set()
