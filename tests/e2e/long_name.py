"""A name of 160 letters without a blank pushes nothing off a page, at 390 and 1280 pixels.

    python -m tests.e2e.long_name [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` with the sample clinic itself, unless it gets the address of a server with one.
"""

from __future__ import annotations

import sys

from tests.e2e.support import Hand, arguments, at_a_desk, fits, picture

GIVEN, FAMILY = "W" * 80, "Q" * 80
WIDTHS = (1280, 390)


def main() -> int:
    options = arguments(__doc__)
    with at_a_desk(options, "lena@tilleuls.example") as hand:
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
                hand.page.set_viewport_size({"width": width, "height": 900})
                hand.go(path)
                fits(hand.page, f"{name} at {width} pixels")
                picture(hand.page, options.show, f"long-{name}-{width}")
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


if __name__ == "__main__":
    sys.exit(main())
