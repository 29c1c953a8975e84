"""A brand name at the day check stops the visit on every screen; call, postpone and stop are two presses away.

    python -m tests.e2e.standing [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` with the sample clinic itself, unless it gets the address of a server with one.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

from playwright.sync_api import Page

from tests.e2e.support import Hand, Watch, arguments, browser, check, picture, server, told_where

BRAND = "Xarelto 20 mg"


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
            hand.sign_in("ben@tilleuls.example")
            visit = _visit(page, address)
            _say(hand, visit["patient"])
            _seen_everywhere(hand, visit, options.show)
            _two_presses(hand, visit)
        watch.check()
    print("A brand name at the day check stops the visit everywhere.")
    return 0


def _visit(page: Page, address: str) -> dict[str, str]:
    """A booked visit of a patient whom nothing stands against."""
    rows = page.request.get(f"{address}/api/v1/appointments/?status=booked&limit=50").json()["results"]
    clear = [row for row in rows if row["standing"]["state"] == "clear"]
    check(clear, "The sample has no booked visit of somebody who may be treated.")
    found: dict[str, str] = clear[0]
    return found


def _say(hand: Hand, patient: str) -> None:
    hand.go(f"/patients/{patient}/anything-changed/")
    page = hand.page
    names = page.locator("main input[type=radio]").evaluate_all("all => [...new Set(all.map(one => one.name))]")
    for name in names:
        value = {"fact-pregnancy_status": "not_pregnant", "any_medicines": "yes"}.get(name, "no")
        page.locator(f'input[name="{name}"][value="{value}"]').check(force=True)
    page.locator('[name="new_medicines"]').last.fill(BRAND)
    page.locator("main form button[type=submit]").last.click()
    page.wait_for_load_state()
    check(
        page.locator('[data-standing="stop"]').count() == 1, f"The result of the day check at {page.url} shows no stop."
    )


def _seen_everywhere(hand: Hand, visit: dict[str, str], show: object) -> None:
    for place, path in {
        "patient": f"/patients/{visit['patient']}/",
        "visit": f"/appointments/{visit['id']}/",
        "move": f"/appointments/{visit['id']}/move/",
        "plan": f"/plans/{visit['plan']}/",
        "today": "/",
        "day": f"/day/{visit['starts_at'][:10]}/",
        "calendar": f"/calendar/?view=day&day={visit['starts_at'][:10]}",
        "list": "/patients/",
    }.items():
        hand.go(path)
        text = hand.page.locator("main").inner_text()
        found = any(words in text for words in ("May not be treated", "STOP:"))
        check(found, f"{path} does not show the stop.")
        picture(hand.page, show, f"standing-{place}")  # type: ignore[arg-type]


def _two_presses(hand: Hand, visit: dict[str, str]) -> None:
    hand.go(f"/appointments/{visit['id']}/")
    page = hand.page
    page.locator('textarea[name="note"]').first.fill("Rings his cardiologist, we postpone.")
    hand.press("Note the call")
    check("Rings his cardiologist" in page.locator("main").inner_text(), "The call is not on the visit.")
    hand.go(f"/appointments/{visit['id']}/")
    page.locator(".std").get_by_role("link", name="Postpone").click()
    check("/move/" in page.url, "Postpone does not lead to another time.")
    hand.sign_out() if hasattr(hand, "sign_out") else page.context.clear_cookies()
    hand.sign_in("lena@tilleuls.example")
    hand.go(f"/appointments/{visit['id']}/")
    page.locator(".std").get_by_role("link", name="Stop plan").click()
    check(page.url.endswith("/stop/"), "Stop plan does not lead to stopping it.")


if __name__ == "__main__":
    sys.exit(main())
