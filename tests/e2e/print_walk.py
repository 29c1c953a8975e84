"""Print is one press to the PDF itself, with the way back; from the record, a visit, the day and a plan.

    python -m tests.e2e.print_walk [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` with the sample clinic itself, unless it gets the address of a server with one.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from playwright.sync_api import Page

from tests.e2e.support import Hand, arguments, at_a_desk, check, picture, visit_to_treat

PATIENCE_SECONDS = 40  # with a cold worker


def main() -> int:
    options = arguments(__doc__)
    with at_a_desk(options, "lena@tilleuls.example") as hand:
        visit = visit_to_treat(hand, "clear", "cautions", "unknown")
        places = {
            "record": (f"/patients/{visit['patient']}/", "Preparation sheet"),
            "dates": (f"/patients/{visit['patient']}/", "Print dates"),
            "visit": (f"/appointments/{visit['id']}/", "Syringe labels"),
            "plan": (f"/plans/{visit['plan']}/", "PDF for the patient"),
            "day": (f"/day/{visit['starts_at'][:10]}/", "Day pack"),
        }
        for name, (path, button) in places.items():
            _prints(hand, name, path, button, options.show)
        _waits_without_script(hand.page, hand.address, path=places["plan"][0])
    for name, clicks in hand.tally:
        print(f"{name}: {clicks} click")
    return 0


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
