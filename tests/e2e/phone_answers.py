"""A patient's phone: confirm, ask for another time, report a red flag; then the alert on the clinic's Today.

    python -m tests.e2e.phone_answers [--show FOLDER] [--address URL --data FOLDER]

Starts `make run` with a data folder of its own and takes the links from the mails in its outbox, as the patient would.
Counts taps, pictures each page at 390 × 844, and fails on any violation of the Content-Security-Policy, any error in
the console, any request to another host, any answer of 500 or more, and any page wider than the phone.
"""

from __future__ import annotations

import argparse
import re
import sqlite3
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Page

from tests.e2e.support import ROOT, Failed, Hand, Watch, browser, check, server

PHONE = {"width": 390, "height": 844}
STAFF = "lena@tilleuls.example"
MOST_TAPS = {"confirm": 1, "another time": 3, "check-in": 5}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", type=Path, default=ROOT / "var" / "phone_answers", help="a folder for the pictures")
    parser.add_argument("--address", help="of a server that runs already with a fresh sample; needs --data as well")
    parser.add_argument("--data", type=Path, help="the data folder of that server")
    options = parser.parse_args()
    options.show.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mesoclinic-phone-")))
        address = options.address or stack.enter_context(server(MESOCLINIC_DATA_DIR=str(folder)))
        opened = stack.enter_context(browser())
        watch = Watch()
        phone = opened.new_context(viewport=PHONE, locale="en-GB", is_mobile=True, has_touch=True)
        desk = opened.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
        for context in (phone, desk):
            watch.follow(context, address)
        try:
            walk(phone.new_page(), desk.new_page(), address, folder / "mesoclinic.sqlite3", options.show)
            check(not watch.faults, "\n".join(watch.faults))
        except Failed as failure:
            print(f"FAILED: {failure}")
            return 1
    print(f"pictures in {options.show}")
    return 0


def link_in_mail(database: Path, *purposes: str) -> tuple[str, str]:
    """The newest link of these kinds that still works: its path, and whose it is."""
    marks = ",".join("?" * len(purposes))
    with sqlite3.connect(database, timeout=20) as connection:
        row = connection.execute(
            "SELECT message.text, message.person_label FROM messaging_message message"
            " JOIN treatment_sessions_answerlink link ON link.purpose = message.purpose"
            " AND link.subject_id = message.subject_id AND link.version = message.version"
            " WHERE link.expires_at > datetime('now', '+1 hour') AND message.state <> 'cancelled'"
            " AND message.subject LIKE '%, Lyon'"  # the site whose Today is looked at in the end
            f" AND message.language = 'en' AND message.purpose IN ({marks}) ORDER BY message.id DESC",
            purposes,
        ).fetchone()
    check(row, f"no mail of {purposes} with a working link is in the outbox")
    found = re.search(r"(/a/[\w-]{43}/)$", row[0], re.MULTILINE)
    check(found, "the mail holds no link")
    assert found is not None
    return found.group(1), row[1]


def walk(page: Page, desk: Page, address: str, database: Path, show: Path) -> None:
    hand = Hand(page, address)

    def picture(name: str) -> None:
        page.screenshot(path=show / f"{name}.png", full_page=True, caret="initial")
        wide = page.evaluate("document.documentElement.scrollWidth")
        check(wide <= PHONE["width"], f"{name} is {wide} px wide on a phone of {PHONE['width']}")

    path, _who = link_in_mail(database, "reminder_7d", "prepare", "reminder_24h")
    before = hand.clicks
    hand.go(path)
    picture("1-visit")
    hand.press("I will come")
    check(page.get_by_text("You have confirmed").is_visible(), "the confirmation is not acknowledged")
    picture("2-confirmed")
    hand.task("confirm", since=before)

    before = hand.clicks
    hand.go(path)
    hand.press("Ask for another time")
    check(page.locator('input[name="time"]').count() >= 2, "no free time is offered")
    picture("3-another-time")
    hand.click(page.locator("label.tap").first)
    hand.press("Send")
    check(page.get_by_text("We have your wish").is_visible(), "the wish is not acknowledged")
    picture("4-wish-sent")
    hand.task("another time", since=before)

    path, who = link_in_mail(database, "checkin_48h", "checkin_7d", "aftercare")
    before = hand.clicks
    hand.go(path)
    picture("5-check-in")
    hand.choose("noticed", "pus")
    hand.choose("since", "later")
    hand.choose("bad", "bothers")
    picture("6-check-in-filled")
    hand.press("Send")
    check(page.get_by_text("Please call us today").is_visible(), "a red flag gets no urgent advice")
    check(page.locator('a[href^="tel:"]').count() >= 2, "the urgent page has nothing to call")
    picture("7-red-flag")
    hand.task("check-in", since=before)

    hand.go(path + "mails/")
    picture("8-choose-mails")
    old_link(page, address, show)

    staff = Hand(desk, address)
    staff.sign_in(STAFF)
    staff.go("/")
    flag = desk.locator(".flg", has_text=who).first
    check(flag.get_by_text("Red flag, same day").is_visible(), "the red flag does not stand above Today")
    check(flag.bounding_box()["y"] < desk.locator("h1").bounding_box()["y"], "something stands above the red flag")
    desk.screenshot(path=show / "10-today.png", full_page=True, caret="initial")
    staff.click(flag.locator("a.btn"))
    check(desk.get_by_text("pus or a painful lump").first.is_visible(), "the inbox does not say what was said")
    desk.screenshot(path=show / "11-inbox.png", full_page=True, caret="initial")
    staff.go("/inbox/")
    desk.screenshot(path=show / "12-inbox-list.png", full_page=True, caret="initial")

    for name, taps in hand.tally:
        print(f"{name:<14} {taps} taps, at most {MOST_TAPS[name]}")
        check(taps <= MOST_TAPS[name], f"{name} takes {taps} taps")


def old_link(page: Page, address: str, show: Path) -> None:
    """In a window of its own: a browser notes every 404 as an error, and this one is meant."""
    browser = page.context.browser
    check(browser, "the browser is gone")
    alone = browser.new_page(viewport=PHONE, locale="en-GB")  # type: ignore[union-attr]
    alone.goto(f"{address}/a/{'A' * 43}/")
    check(alone.get_by_text("This link no longer works").is_visible(), "an old link says nothing kind")
    alone.screenshot(path=show / "9-old-link.png", full_page=True, caret="initial")
    alone.close()


if __name__ == "__main__":
    sys.exit(main())
