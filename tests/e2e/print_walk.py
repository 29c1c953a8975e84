"""Print is one press to the PDF itself, with the way back; from the record, a visit, the day and a plan.

    python -m tests.e2e.print_walk [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` with the sample clinic itself, unless it gets the address of a server with one.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Page

from tests.e2e.support import Hand, Watch, arguments, browser, check, picture, server, told_where

PATIENCE_SECONDS = 40  # with a cold worker


def main() -> int:
    options = arguments(__doc__)
    with ExitStack() as stack:
        address = options.address or stack.enter_context(server())
        opened = stack.enter_context(browser())
        context = opened.new_context(
            viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Europe/Paris"
        )
        context.set_default_timeout(20_000)
        watch = Watch()
        watch.follow(context, address)
        page = context.new_page()
        with told_where(page, watch, options.show):
            hand = Hand(page, address)
            hand.sign_in("lena@tilleuls.example")
            visit = _visit(page, address)
            places = {
                "record": (f"/patients/{visit['patient']}/", "Preparation sheet"),
                "dates": (f"/patients/{visit['patient']}/", "Print dates"),
                "visit": (f"/appointments/{visit['id']}/", "Syringe labels"),
                "plan": (f"/plans/{visit['plan']}/", "PDF for the patient"),
                "day": (f"/day/{visit['starts_at'][:10]}/", "Day pack"),
            }
            for name, (path, button) in places.items():
                _prints(hand, name, path, button, options.show)
            _waits_without_script(page, address, path=places["plan"][0])
        watch.check()
    for name, clicks in hand.tally:
        print(f"{name}: {clicks} click")
    return 0


def _visit(page: Page, address: str) -> dict[str, str]:
    """A booked visit of a patient whom nothing stands against."""
    rows = page.request.get(f"{address}/api/v1/appointments/?status=booked&limit=50").json()["results"]
    clear = [row for row in rows if row["standing"]["state"] != "stop"]
    check(clear, "The sample has no booked visit of somebody who may be treated.")
    found: dict[str, str] = clear[0]
    return found


def _prints(hand: Hand, name: str, path: str, button: str, show: Path | None) -> None:
    hand.go(path)
    page, before = hand.page, hand.clicks
    hand.press(button)
    page.wait_for_url("**/documents/**")
    page.locator("iframe.doc-frame").wait_for(timeout=PATIENCE_SECONDS * 1000)  # the page goes on by itself
    hand.task(name, since=before)
    check(hand.clicks - before == 1, f"{name}: it takes {hand.clicks - before} clicks to the PDF.")
    file = page.locator("iframe.doc-frame").get_attribute("src")
    answer = page.request.get(f"{hand.address}{file}")
    check(answer.headers["content-type"] == "application/pdf", f"{name}: the frame holds no PDF.")
    check(answer.body().startswith(b"%PDF-"), f"{name}: the file is no PDF.")
    check(page.get_by_role("button", name="Print").is_visible(), f"{name}: its page has no Print.")
    picture(page, show, f"print-{name}")
    page.locator("main").get_by_role("link", name="Back", exact=True).click()
    page.wait_for_url(f"**{path}")


def _waits_without_script(page: Page, address: str, *, path: str) -> None:
    """Without JavaScript the page looks again by itself until the PDF is there."""
    browser_ = page.context.browser
    assert browser_ is not None
    bare = browser_.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = bare.new_page()
    plain.goto(f"{address}{path}")
    plain.locator('button[name="kind"][value="aftercare"]').evaluate("button => button.form.requestSubmit(button)")
    end = time.monotonic() + PATIENCE_SECONDS
    while not plain.locator("iframe.doc-frame").count() and time.monotonic() < end:
        plain.wait_for_timeout(500)
    check(plain.locator("iframe.doc-frame").count(), "Without JavaScript the page does not go on by itself.")
    bare.close()


if __name__ == "__main__":
    sys.exit(main())
