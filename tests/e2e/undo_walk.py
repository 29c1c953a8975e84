"""Undo and answers by clicks: cancel and undo, a wish moved from the inbox, reports and a red flag on a phone.

    python -m tests.e2e.undo_walk [--address URL --data FOLDER] [--show FOLDER]

The patient's part is done through the links of the mails in the server's outbox, as in ``phone_answers``. Fails on a
violation of the Content-Security-Policy, an error in the console, an answer of 500 or more, a page wider than a phone.
"""

from __future__ import annotations

import argparse
import re
import sqlite3
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.phone_answers import PHONE, link_in_mail
from tests.e2e.support import Hand, Watch, both_ways, browser, check, server, told_where

STAFF = "lena@tilleuls.example"
MOST = {"cancel and undo": 2, "move from the inbox": 2}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="of a server that runs already with a fresh sample; needs --data as well")
    parser.add_argument("--data", type=Path, help="the data folder of that server")
    parser.add_argument("--show", type=Path, help="a folder for pictures")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mesoclinic-undo-")))
        address = options.address or stack.enter_context(server(MESOCLINIC_DATA_DIR=str(folder)))
        opened = stack.enter_context(browser())
        watch = Watch()
        phone = opened.new_context(viewport=PHONE, locale="en-GB", is_mobile=True, has_touch=True)
        desk = opened.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
        for context in (phone, desk):
            watch.follow(context, address)
        page = desk.new_page()
        database = folder / "mesoclinic.sqlite3"
        with told_where(page, watch, options.show):
            hand, patient = Hand(page, address), Hand(phone.new_page(), address)
            hand.sign_in(STAFF)
            cancel_and_undo(hand, database, options.show)
            wish(patient, hand, database, options.show)
            reports(patient, hand, database, options.show)
            watch.check()
        for name, clicks in hand.tally:
            print(f"{name:<22} {clicks} clicks, at most {MOST[name]}")
            check(clicks <= MOST[name], f"{name} takes {clicks} clicks")
    return 0


def visit_to_come(database: Path) -> str:
    """The address of a booked visit in Lyon some weeks from now."""
    with sqlite3.connect(database, timeout=20) as connection:
        row = connection.execute(
            "SELECT visit.public_id FROM treatment_sessions_appointment visit"
            " JOIN accounts_site site ON site.id = visit.site_id"
            " WHERE visit.status = 'booked' AND visit.starts_at > datetime('now', '+9 days') AND site.name = 'Lyon'"
            " AND visit.number > 1 ORDER BY visit.starts_at LIMIT 1"
        ).fetchone()
    check(row, "no visit to come is booked in Lyon")
    key = row[0]
    return f"/appointments/{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}/"


def cancel_and_undo(hand: Hand, database: Path, show: Path | None) -> None:
    """One press cancels, the next page says whom the time fits, one press puts it back."""
    page = hand.page
    hand.go(visit_to_come(database))
    both_ways(page, show, "visit")
    before = hand.clicks
    hand.press(re.compile("^Cancel visit"))
    page.get_by_text("The appointment is cancelled.").first.wait_for()
    page.get_by_role("button", name="Put the visit back").wait_for()
    both_ways(page, show, "cancelled")
    hand.press("Undo")
    page.get_by_text(re.compile("The visit is back:")).first.wait_for()
    hand.task("cancel and undo", since=before)
    check(page.get_by_text("Booked", exact=True).first.is_visible(), "the visit is not booked again")


def wish(patient: Hand, hand: Hand, database: Path, show: Path | None) -> None:
    """The patient asks for another time; the clinic opens the answer and presses the wished time."""
    path, who = link_in_mail(database, "reminder_7d", "prepare", "reminder_24h")
    patient.go(path)
    patient.press("Ask for another time")
    patient.click(patient.page.locator("label.tap").first)
    patient.press("Send")
    patient.page.get_by_text("We have your wish").wait_for()
    page = hand.page
    hand.go("/inbox/")
    row = page.locator(".ib-row", has_text=who).filter(has_text="Would rather come on").first
    check("Was offered:" in row.inner_text(), f"the row says only {row.inner_text()}")
    both_ways(page, show, "inbox")
    before = hand.clicks
    hand.click(row.locator("a.mc-strong"))
    page.locator("#wish").wait_for()
    both_ways(page, show, "wish")
    hand.press(re.compile("^Move to .* and tell the patient"))
    page.get_by_text(re.compile("is moved to .*The mail about it leaves")).first.wait_for()
    hand.task("move from the inbox", since=before)


def reports(patient: Hand, hand: Hand, database: Path, show: Path | None) -> None:
    """A red flag stays first, on a phone too, whatever is reported after it."""
    path, who = link_in_mail(database, "checkin_48h", "checkin_7d", "aftercare")
    patient.go(path)
    for name, value in (("noticed", "pus"), ("since", "later"), ("bad", "bothers")):
        patient.choose(name, value)
    patient.press("Send")
    patient.page.get_by_text("Please call us today").wait_for()
    patient.go(path)
    patient.choose("noticed", "nothing")
    patient.press("Send")
    page = hand.page
    page.set_viewport_size(PHONE)
    hand.go("/")
    flag = page.locator(".flg", has_text=who).first
    box, title = flag.bounding_box(), page.locator("h1").bounding_box()
    check(box and title and box["y"] < title["y"], "the red flag does not stand first on a phone")
    both_ways(page, show, "today")
    hand.go("/inbox/")
    first = page.locator(".ib-row").first
    check(who in first.inner_text() and "Red flag" in first.inner_text(), f"the first row is {first.inner_text()}")
    both_ways(page, show, "inbox-flag")
    hand.click(first.locator("a.mc-strong"))
    page.get_by_text("an earlier answer is still open.").first.wait_for()
    both_ways(page, show, "history")


if __name__ == "__main__":
    sys.exit(main())
