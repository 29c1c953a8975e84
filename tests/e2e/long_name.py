"""A name of 160 letters without a blank pushes nothing off a page, at 390 and 1280 pixels.

    python -m tests.e2e.long_name [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` with the sample clinic itself, unless it gets the address of a server with one.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

from playwright.sync_api import Page

from tests.e2e.support import Hand, Watch, arguments, browser, check, picture, server, told_where

GIVEN, FAMILY = "W" * 80, "Q" * 80
WIDTHS = (1280, 390)


def main() -> int:
    options = arguments(__doc__)
    with ExitStack() as stack:
        address = options.address or stack.enter_context(server())
        opened = stack.enter_context(browser())
        context = opened.new_context(locale="en-GB", timezone_id="Europe/Paris")
        context.set_default_timeout(20_000)
        watch = Watch()
        watch.follow(context, address)
        page = context.new_page()
        with told_where(page, watch, options.show):
            hand = Hand(page, address)
            hand.sign_in("lena@tilleuls.example")
            record = _register(hand)
            pages = {
                "record": record,
                "edit": f"{record}edit/",
                "merge": f"{record}merge/",
                "links": f"{record}links/",
                "changed": f"{record}anything-changed/",
                "list": f"/patients/?q={FAMILY[:40]}",
                "messages": "/messages/",
                "today": "/",
            }
            for name, path in pages.items():
                for width in WIDTHS:
                    page.set_viewport_size({"width": width, "height": 900})
                    hand.go(path)
                    _fits(page, f"{name} at {width} pixels")
                    picture(page, options.show, f"long-{name}-{width}")
        watch.check()
    print("A name of 160 letters pushes nothing off a page.")
    return 0


def _register(hand: Hand) -> str:
    """Register somebody with the longest name; the address of the record."""
    hand.go("/patients/new/")
    page = hand.page
    hand.type('[name="given_name"]', GIVEN)
    hand.type('[name="family_name"]', FAMILY)
    hand.type('[name="birth_date"]', "1980-02-29")
    page.locator('input[name="sex_at_birth"][value="female"]').check(force=True)
    hand.press("Save")
    page.wait_for_url("**/patients/*-*/")
    return page.url.removeprefix(hand.address)


def _fits(page: Page, where: str) -> None:
    wide, window = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    check(wide <= window, f"{where}: something stands {wide - window} pixels off the page.")


if __name__ == "__main__":
    sys.exit(main())
