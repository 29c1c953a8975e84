"""Names of every kind: kept, said, listed, shortened."""

from __future__ import annotations

import unicodedata

import pytest

from mesoclinic.core.names import full_name, initials, is_showable, listed_name, short_name, tidy_line, tidy_name

PERSIAN = "علی\u200cرضا"
SINHALA = "ශ්\u200dරී"
KANNADA = "ರ್\u200dಯಾ"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Ng ", "Ng"),
        ("Ada\u200b", "Ada"),  # zero-width space
        ("\ufeffAda", "Ada"),  # byte-order mark
        ("A\u00adda", "Ada"),  # soft hyphen
        ("\u202eAda\u202c", "Ada"),  # direction
        ("Ada\u200d", "Ada"),  # a joiner where nothing is joined
        ("A\u200cda", "Ada"),
        ("Ada\u00a0Maria", "Ada Maria"),
        ("Ada\tMaria\n", "Ada Maria"),
        ("\u3164", ""),  # Hangul filler: a letter that is not seen
        ("\u2800\u200b", ""),
        ("王\u3000伟", "王 伟"),
        ("葛\U000e0100城", "葛\U000e0100城"),  # which of two forms of a Han sign
        ("Ada\ufe0f", "Ada"),
        (PERSIAN, PERSIAN),
        (f"{PERSIAN}\u200c", PERSIAN),
        ("علی\u200c\u200cرضا", PERSIAN),
        (SINHALA, SINHALA),
        (KANNADA, KANNADA),
        (unicodedata.normalize("NFD", "Zoë Lôpez"), "Zoë Lôpez"),
        (unicodedata.normalize("NFD", "김민준"), "김민준"),
    ],
)
def test_tidy_name_keeps_spelling_and_drops_what_nobody_sees(typed: str, kept: str) -> None:
    assert tidy_name(typed) == kept
    assert tidy_name(tidy_name(typed)) == kept


def test_tidy_line_drops_joiners_as_well() -> None:
    assert tidy_line(" ada\u200b@exa\u200cmple.org\ufeff ") == "ada@example.org"


@pytest.mark.parametrize("name", ["\ue000", "A\x00", "\U000f0000", "\ud800"])
def test_sign_that_means_nothing_cannot_be_shown(name: str) -> None:
    assert not is_showable(tidy_name(name))


@pytest.mark.parametrize("name", [PERSIAN, SINHALA, "O’Neill", "Nguyễn", "王伟", "葛\U000e0100"])
def test_names_of_people_can_be_shown(name: str) -> None:
    assert is_showable(tidy_name(name))


@pytest.mark.parametrize(
    ("given", "family", "family_first", "said", "listed", "short", "letters"),
    [
        ("Ada", "Moreau", False, "Ada Moreau", "Moreau, Ada", "A. Moreau", "AM"),
        ("", "Suharto", False, "Suharto", "Suharto", "Suharto", "S"),
        ("Suharto", "", True, "Suharto", "Suharto", "Suharto", "S"),
        ("Anna", "Nagy", True, "Nagy Anna", "Nagy Anna", "Nagy A.", "NA"),
        ("伟", "王", False, "王伟", "王伟", "王伟", "王伟"),
        ("민준", "김", False, "김민준", "김민준", "김민준", "김민"),
        ("さくら", "山田", False, "山田 さくら", "山田 さくら", "山田 さくら", "山さ"),
        ("Wei", "王", False, "Wei 王", "王, Wei", "W. 王", "W王"),
        ("किरण", "शर्मा", False, "किरण शर्मा", "शर्मा, किरण", "कि. शर्मा", "किश"),
    ],
)
def test_name_is_said_listed_and_shortened(
    given: str, family: str, family_first: bool, said: str, listed: str, short: str, letters: str
) -> None:
    parts = {"given": given, "family": family, "family_first": family_first}
    assert full_name(**parts) == said
    assert listed_name(**parts) == listed
    assert short_name(**parts) == short
    assert initials(**parts) == letters
