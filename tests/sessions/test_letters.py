"""The words of every mail in every language: nothing untranslated, no placeholder missing, kept as snapshots.

MESOCLINIC_SNAPSHOTS=1 writes the snapshots anew; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, NotAllowed
from mesoclinic.messaging.models import Message
from protocols.formulary.loader import load_documents
from sessions.mail import letters
from sessions.mail.example import example
from sessions.mail.followups import advice_for
from sessions.models.followups import MailWording
from tests import factories
from tests.shown import seen_on

LANGUAGES = ("en", "fr", "es")
SNAPSHOTS = Path(__file__).parent / "letters"
VALUES = {
    "name": "Teodor Brandvold",
    "house": "Clinique des Tilleuls, Lyon",
    "practitioner": "Dr Ada Moreau",
    "phone": "+33 4 00 00 00 00",
    "place": "Lyon",
    "zone": "Europe/Paris",
    "months": 3,
    "n": 2,
    "text": "…",
    "minutes": 38,
    "time": "09:00",
}
CLINICAL = (
    "mesotherap",
    "inject",
    "hair",
    "scalp",
    "alopecia",
    "cheveu",
    "pelo",
    "séance",
    "sesión",
    "biotin",
    "traitement",
)


def composed(kind: str, language: str, lyon) -> letters.Composed:
    from datetime import UTC, datetime, timedelta

    at = datetime(2026, 10, 5, 7, tzinfo=UTC)
    tz = ZoneInfo("Europe/Paris")
    frame = {
        "site": lyon,
        "link": "https://clinic.example/a/TOKEN/",
        "choose": "https://clinic.example/a/TOKEN/mails/",
        "until": letters.day_of(at, tz, language, year=True),
        "emergency": "112",
        "urgent": "advice" in letters.PLACEHOLDERS[kind],
        "reason": letters.shipped(language)["frame"]["reason_appointment"],
    }
    day = letters.day_of(at, tz, language)
    was = at - timedelta(days=4)
    dates = [letters.date_row(at, tz, language, was=was if kind == "booking_moved" else None)]
    advice = [
        letters.shipped(language)["advice"].get(row["text"], row["text"])
        for row in load_documents()["course"]["aftercare"]
        if (row["when"] == "before the session") == (kind == "prepare")
    ]
    return letters.compose(
        kind,
        language=language,
        tz=tz,
        values={**VALUES, "day": day, "was": letters.date_row(was, tz, language)},
        frame=frame,
        dates=dates,
        advice=advice,
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", letters.KINDS)
def test_letter_is_as_it_was_read_and_agreed(kind: str, language: str, lyon) -> None:
    subject, text, html = composed(kind, language, lyon)
    told = f"Subject: {subject}\n\n{text}"
    file = SNAPSHOTS / f"{kind}.{language}.txt"
    if os.environ.get("MESOCLINIC_SNAPSHOTS") == "1":
        file.write_text(told, encoding="utf-8")

    assert told == file.read_text(encoding="utf-8")
    assert "{" not in told
    assert "{" not in html.split("</style>")[1]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", letters.KINDS)
def test_subject_and_preview_say_nothing_of_health(kind: str, language: str) -> None:
    words = letters.shipped(language)["letters"][kind]
    shown = f"{words['subject']} {words['preview']}".lower()

    assert [word for word in CLINICAL if word in shown] == []


def leaves(tree, path=()):
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, tree


def test_every_language_has_every_text_and_the_same_placeholders() -> None:
    english = dict(leaves(letters.shipped("en")))
    for language in ("fr", "es"):
        other = {path: text for path, text in leaves(letters.shipped(language)) if path[0] not in ("advice", "when")}
        assert set(other) == set(english)
        for path, text in other.items():
            if path[0] != "letters":
                assert letters.placeholders_used(text) == letters.placeholders_used(english[path]), path


def test_no_text_is_left_in_english() -> None:
    english = dict(leaves(letters.shipped("en")))
    for language in ("fr", "es"):
        same = [path for path, text in leaves(letters.shipped(language)) if text and english.get(path) == text]
        assert same == []


def shown(html: str) -> list[str]:
    """What the reader sees, piece by piece, the preview line included."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return [" ".join(unescape(piece).split()) for piece in re.split(r"<[^>]+>", body) if piece.strip()]


def sentences(pieces: list[str]) -> set[str]:
    """What is long enough to be language: names, addresses and numbers are the same everywhere."""
    found = {part.strip(" :;") for piece in pieces for part in re.split(r"(?<=[.!?])\s|: ", piece)}
    return {
        one for one in found if len(re.findall(r"[^\W\d_]{2,}", one)) >= 2 and not re.search("Tilleuls|https?:/", one)
    }


@pytest.mark.parametrize("language", ("fr", "es"))
@pytest.mark.parametrize("kind", letters.KINDS)
def test_letter_as_the_reader_sees_it_holds_no_english_and_no_placeholder(kind: str, language: str, lyon) -> None:
    def letter(which: str) -> letters.Composed:
        return example(kind, which, site=lyon, house="Clinique des Tilleuls, Lyon", practitioner="Dr Ada Moreau")

    english, other = letter("en"), letter(language)
    theirs = sentences([*shown(other.html), other.subject, *other.text.splitlines()])

    assert len(theirs) > 8  # there is something to compare
    assert theirs & sentences([*shown(english.html), english.subject, *english.text.splitlines()]) <= {"Dr Ada Moreau"}
    for text in (other.subject, other.text, *shown(other.html)):
        assert not re.search(r"[{}]|\bNone\b|%\(", text)
    assert f'lang="{language}"' in other.html
    assert "  " not in "".join(shown(other.html))  # a placeholder that is filled with nothing


def test_phone_number_never_breaks_at_the_end_of_a_line(lyon) -> None:
    html = composed("checkpoint", "en", lyon).html

    assert "+33\N{NO-BREAK SPACE}4" in html and "+33 4" not in html


def test_every_shipped_wording_passes_the_directors_own_check() -> None:
    wrong = {
        (kind, language): faults
        for language in LANGUAGES
        for kind in letters.KINDS
        if (faults := letters.faults_of(kind, letters.shipped(language)["letters"][kind]))
    }

    assert wrong == {}


@pytest.mark.parametrize("language", ("fr", "es"))
def test_the_formularys_advice_is_translated(language: str) -> None:
    words = letters.shipped(language)
    rows = load_documents()["course"]["aftercare"]

    assert {row["text"] for row in rows} == set(words["advice"])
    assert {row["when"] for row in rows} - {"before the session"} == set(words["when"])


def test_advice_before_a_session_never_tells_to_stop_medicines(plan) -> None:
    (line,) = advice_for(plan, before=True, language="en")

    assert "clean hair" in line and "eat something" in line
    assert "Do not stop blood thinners or other prescribed medicines by yourself." in line


# ------------------------------------------------------------------ a director's own words


def own(kind: str = "reminder_7d", **changes: str) -> dict[str, str]:
    return {**letters.shipped("en")["letters"][kind], **changes}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"body": "Dear {name}, come."}, "body"),  # {dates} is missing
        ({"body": "{dates}"}, "body"),  # {name} is missing
        ({"subject": "{dates}"}, "subject"),  # only in the text
        ({"subject": "Dear {patient}"}, "subject"),
        ({"heading": "{name.password}"}, "heading"),
        ({"heading": "{name!r}"}, "heading"),
        ({"heading": "{"}, "heading"),
        ({"heading": ""}, "heading"),
        ({"body": "Dear {name}, on {dates} we meet."}, "body"),
    ],
)
def test_wording_with_a_wrong_placeholder_is_refused_beside_its_field(changes, field, dora) -> None:
    with pytest.raises(InvalidInput) as refusal:
        letters.change_wording(kind="reminder_7d", language="en", texts=own(**changes), by=dora)

    assert refusal.value.field == field
    assert not MailWording.objects.exists()


def test_own_wording_wins_is_versioned_audited_and_can_be_reset(dora, lyon) -> None:
    letters.change_wording(kind="reminder_7d", language="en", texts=own(heading="One week to go"), by=dora)
    assert letters.wording("reminder_7d", "en").heading == "One week to go"
    assert letters.wording("reminder_7d", "fr").version == 0
    letters.reset_wording(kind="reminder_7d", language="en", by=dora)

    assert letters.wording("reminder_7d", "en").heading == "We see you in a week"
    assert list(MailWording.objects.values_list("version", flat=True)) == [2, 1]
    actions = AuditEvent.objects.filter(action__startswith="wording.").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["wording.changed", "wording.reset"]


def test_only_the_director_changes_words(ada) -> None:
    with pytest.raises(NotAllowed):
        letters.change_wording(kind="reminder_7d", language="en", texts=own(), by=ada)


def test_markup_in_own_words_is_shown_as_text(dora, lyon) -> None:
    letters.change_wording(kind="missed", language="en", texts=own("missed", heading="<b>We</b> missed you"), by=dora)

    assert "&lt;b&gt;We&lt;/b&gt; missed you" in composed("missed", "en", lyon).html


def test_page_previews_refuses_and_keeps(dora, sign_in) -> None:
    client, url = sign_in(dora), reverse("inbox:wording", args=["reminder_7d", "en"])
    shown = client.post(url, {**own(heading="Soon"), "do": "preview"})
    assert "Soon" in shown.content.decode() and not MailWording.objects.exists()
    refused = client.post(url, {**own(body="Dear {name}"), "do": "keep"})
    assert refused.status_code == 400
    assert "{dates} is missing." in refused.content.decode()
    assert "Dear {name}" in refused.content.decode()
    assert client.post(url, {**own(heading="Soon"), "do": "keep"} | seen_on(client, url)).status_code == 302
    assert "own words" in client.get(url).content.decode()
    assert letters.wording("reminder_7d", "en").heading == "Soon"
    assert client.post(url, {"do": "reset"}).status_code == 302
    assert letters.wording("reminder_7d", "en").heading == "We see you in a week"


def test_letter_in_its_frame_says_what_was_typed_and_not_kept(dora, sign_in) -> None:
    client, url = sign_in(dora), reverse("inbox:wording", args=["reminder_7d", "en"])
    frame = reverse("inbox:wording_letter", args=["reminder_7d", "en"])
    client.post(url, {**own(heading="<i>Soon</i>"), "do": "preview"})
    shown = client.get(frame)
    assert "&lt;i&gt;Soon&lt;/i&gt;" in shown.content.decode()
    assert shown["X-Frame-Options"] == "SAMEORIGIN" and "default-src 'none'" in shown["Content-Security-Policy"]
    client.post(url, {**own(body="Dear {name}"), "do": "preview"})  # refused: the frame goes back to what is kept

    assert "Soon" not in client.get(frame).content.decode()
    assert "We see you in a week" in client.get(frame).content.decode()


def test_director_sees_what_became_of_a_test(dora, sign_in) -> None:
    client = sign_in(dora)
    client.post(reverse("inbox:mail_test"))
    Message.objects.update(state="failed", last_error="535 wrong password")
    page = client.get(reverse("inbox:wordings")).content.decode()

    assert "Your last tests" in page and "535 wrong password" in page and dora.email in page


@pytest.mark.parametrize("kind", letters.KINDS)
def test_page_shows_every_kind(kind: str, dora, sign_in) -> None:
    for language in LANGUAGES:
        assert sign_in(dora).get(reverse("inbox:wording", args=[kind, language])).status_code == 200


def test_test_mail_goes_to_oneself_only(dora, sign_in) -> None:
    factories.clinic()
    response = sign_in(dora).post(reverse("inbox:mail_test"), follow=True)

    message = Message.objects.get()
    assert (message.purpose, message.to_address, response.status_code) == ("test", dora.email, 200)
    assert re.search(r"A test is on its way to", response.content.decode())
