"""A brand name at the day check stops the visit on every screen; call, postpone and stop are two presses away.

    python -m tests.e2e.standing [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` with the sample clinic itself, unless it gets the address of a server with one.
"""

from __future__ import annotations

import sys

from tests.e2e.support import Hand, arguments, at_a_desk, check, picture, visit_to_treat

BRAND = "Xarelto 20 mg"


def main() -> int:
    options = arguments(__doc__)
    with at_a_desk(options, "ben@tilleuls.example") as hand:
        visit = visit_to_treat(hand, "clear")
        _say(hand, visit["patient"])
        _seen_everywhere(hand, visit, options.show)
        _two_presses(hand, visit)
    print("A brand name at the day check stops the visit everywhere.")
    return 0


def _say(hand: Hand, patient: str) -> None:
    hand.go(f"/patients/{patient}/anything-changed/")
    page = hand.page
    names = page.locator("main input[type=radio]").evaluate_all("all => [...new Set(all.map(one => one.name))]")
    for name in names:
        value = {"fact-pregnancy_status": "not_pregnant", "any_medicines": "yes"}.get(name, "no")
        page.locator(f'input[name="{name}"][value="{value}"]').check(force=True)
    page.locator('[name="new_medicines"]').last.fill(BRAND)
    page.locator("main form button[type=submit]").last.click()
    page.locator('[data-standing="stop"]').wait_for()  # exactly one, on the result of the day check


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
