"""The catalogues, numbers as people write them, and what waits for a reviewer."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from django import forms
from django.utils import translation
from django.utils.translation import gettext

from mesoclinic.core import reviews
from mesoclinic.core.numbers import TypedDecimalField, shown_number, typed_number
from mesoclinic.core.texts import in_words, texts_at
from mesoclinic.ui.templatetags import ui
from scripts import messages

LANGUAGES = ("en", "fr", "es")

# ------------------------------------------------------------------ the catalogues


@pytest.mark.parametrize("kind", messages.FOLDERS)
@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_every_translation_keeps_its_placeholders_and_forms(language: str, kind: str) -> None:
    found = messages.messages_of(messages.read(kind, language))

    assert len(found) > 1000
    faults = [f"{message.id!r:.60}: {fault}" for message in found if all(messages.strings_of(message))
              for fault in messages.faults_of(message)]  # fmt: skip
    assert faults == []


@pytest.mark.parametrize(
    ("english", "translated", "fault"),
    [
        ("%(n)s mL", "%(n)s mL", None),
        ("%(n)s mL", "%(m)s mL", "holds"),
        ("%(n)s mL", "mL", "holds"),
        ("<b>%(n)s</b>", "%(n)s", "holds"),
        ("{name}, hello", "{nom}, bonjour", "holds"),
        ("Dose", "", "has no translation"),
        ("Dose", " Dose", "begins or ends with a space"),
        (("%(n)s day", "%(n)s days"), ("%(n)s jour", ""), "lacks a form of its plural"),
        (("%(n)s day", "%(n)s days"), ("%(n)s jour", "%(n)s jours"), None),
        (("one day", "%(n)s days"), ("un jour", "%(n)s jours"), None),
    ],
)
def test_a_translation_with_a_fault_is_found(
    english: str | tuple[str, str], translated: str | tuple[str, str], fault: str | None
) -> None:
    found = list(messages.faults_of(Message(english, string=translated)))

    assert [sentence.startswith(fault) for sentence in found] == [True] if fault else found == []


def test_texts_are_found_in_python_and_in_templates() -> None:
    python = (
        'a = _("One"); b = ngettext("%(n)s two", "%(n)s twos", n); c = pgettext("ctx", "Three"); d = _(row["four"])'
    )
    template = (
        '{% translate "One" %}{% blocktranslate count n=x %}{{ n }} two{% plural %}{{ n }} twos{% endblocktranslate %}'
    )

    assert set(messages.from_source(python)) == {("", "One"), ("", ("%(n)s two", "%(n)s twos")), ("ctx", "Three")}
    assert set(messages.from_template(template, "x.html")) == {("", "One"), ("", ("%(n)s two", "%(n)s twos"))}


def test_a_catalogue_is_written_without_dates_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(messages.FOLDERS, "clinical", tmp_path)
    entries = [Message("b", "B", user_comments=[messages.TO_REVIEW]), Message("a", "A")]

    messages.write("clinical", "fr", entries)
    first = messages.po_file("clinical", "fr").read_text()
    messages.write("clinical", "fr", reversed(entries))

    assert first == messages.po_file("clinical", "fr").read_text()
    assert not re.search(r"\d{4}-\d\d", first)
    assert first.index('msgid "a"') < first.index('msgid "b"')


def test_a_reviewer_clears_the_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(messages.FOLDERS, "clinical", tmp_path)
    waiting = [Message(text, text.upper(), user_comments=[messages.TO_REVIEW]) for text in ("dose", "hair")]
    messages.write("clinical", "fr", waiting)

    assert messages.reviewed(["fr", "dose", "--by", "Dr Moreau"]) == 0
    assert messages.reviewed(["fr", "nothing like it", "--by", "Dr Moreau"]) == 1
    assert messages.reviewed(["fr", "dose"]) == 2

    comments = {m.id: m.user_comments for m in messages.messages_of(messages.read("clinical", "fr"))}
    assert comments == {"dose": ["reviewed by Dr Moreau"], "hair": [messages.TO_REVIEW]}


def test_texts_of_a_document_are_found_and_replaced_at_their_addresses() -> None:
    document = {"rules": [{"key": "a", "message": "Wait."}, {"key": "b", "message": ""}], "names": {"x": "One", "y": 2}}
    addresses = ("rules[].message", "names.*", "nothing.here")

    assert list(texts_at(document, addresses)) == ["Wait.", "One"]
    assert in_words(document, addresses, str.upper) == {
        "rules": [{"key": "a", "message": "WAIT."}, {"key": "b", "message": ""}],
        "names": {"x": "ONE", "y": 2},
    }
    assert document["names"] == {"x": "One", "y": 2}


# ------------------------------------------------------------------ what waits for a reviewer


def test_a_text_to_be_reviewed_is_shown_with_its_english() -> None:
    english = "Breast-feeding: no treatment until it has ended."
    with translation.override("fr"):
        shown = gettext(english)
        assert shown != english
        assert reviews.english_of(shown) in (english, "")  # "" once somebody has reviewed it
        assert reviews.waiting([shown, "Rien de connu"], shown) in ([(shown, english)], [])
    with translation.override("en"):
        assert reviews.waiting(english) == []
        assert reviews.number_to_review() == 0


def test_the_state_of_each_language_adds_up() -> None:
    states = reviews.states()

    assert [state.language for state in states] == ["fr", "es"]
    for state in states:
        assert state.texts > 1000
        assert state.reviewed + state.to_review == state.texts


# ------------------------------------------------------------------ numbers and days


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("0,25", "0.25"), ("0.25", "0.25"), ("1,5", "1.5"), ("1.5", "1.5"), ("12", "12"), ("1 250", "1250"),
        ("1\N{NARROW NO-BREAK SPACE}250", "1250"), ("0,125", "0.125"), ("0.125", "0.125"), ("1,25", "1.25"),
        ("−3", "-3"), ("1250.5", "1250.5"), ("1,2500", "1.2500"), ("", None), ("  ", None),
    ],
)  # fmt: skip
def test_a_number_is_read_the_same_in_every_language(language: str, typed: str, stored: str | None) -> None:
    with translation.override(language):
        assert typed_number(typed) == stored


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("typed", ["1.250", "1,250", "12.000", "999,999", "-1.250"])
def test_a_number_that_reads_two_ways_is_refused_in_every_language(language: str, typed: str) -> None:
    with translation.override(language), pytest.raises(ValueError, match=re.escape(typed)):
        typed_number(typed)


@pytest.mark.parametrize("typed", ["1.250,50", "1,250.50", "1'250", "1e3", "NaN", "٣", "1.", ".5", "1..5", "0x10"])
def test_what_is_no_number_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="number"):
        typed_number(typed)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_form_takes_comma_and_point(language: str) -> None:
    class Form(forms.Form):
        volume = TypedDecimalField(decimal_places=2, localize=True)

    with translation.override(language):
        for typed in ("0,25", "0.25"):
            form = Form({"volume": typed})
            assert form.is_valid(), form.errors
            assert form.cleaned_data["volume"] == Decimal("0.25")
        assert not Form({"volume": "1.250"}).is_valid()
        assert not Form({"volume": "1,2,3"}).is_valid()


@pytest.mark.parametrize(
    ("language", "shown", "with_unit", "price"),
    [
        ("en", "0.20", "0.20\xa0mg", "1,010.00\xa0EUR"),
        ("fr", "0,20", "0,20\xa0mg", "1\xa0010,00\xa0EUR"),
        ("es", "0,20", "0,20\xa0mg", "1\xa0010,00\xa0EUR"),
    ],
)
def test_numbers_have_the_readers_sign_and_units_stay(language: str, shown: str, with_unit: str, price: str) -> None:
    with translation.override(language):
        assert shown_number("0.20") == shown
        assert shown_number("2026.1-sample") == "2026.1-sample"
        assert ui.quantity("0.20", "mg") == with_unit
        assert ui.money("1010", "EUR").replace("\N{NARROW NO-BREAK SPACE}", "\xa0") == price


@pytest.mark.parametrize(
    ("language", "written"),
    [("en", "Tuesday 24 November 2026"), ("fr", "mardi 24 novembre 2026"), ("es", "martes 24 de noviembre de 2026")],
)
def test_a_day_is_written_in_the_readers_language(language: str, written: str) -> None:
    with translation.override(language):
        assert ui.day("2026-11-24", "full") == written
