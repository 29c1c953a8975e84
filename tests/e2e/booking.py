"""Booking by hand, in a browser: a course from a signed plan, then its third session moved with the rest.

    python -m tests.e2e.booking [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` itself unless it gets the address of a server with the sample clinic. Counts clicks from the patient's
page on and fails where they are more than four for the course and three for the move, and on anything the browser
complains about.
"""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack

from tests.e2e.support import Hand, Watch, arguments, browser, check, picture, server

WHO = "Achterberg"
SESSIONS = 5


def main() -> int:
    options = arguments(__doc__)
    began = time.monotonic()
    with ExitStack() as stack:
        address = options.address or stack.enter_context(
            server(MESOCLINIC_HOLD_SECONDS="1", MESOCLINIC_TICK_SECONDS="2")
        )
        opened = stack.enter_context(browser())
        context = opened.new_context(viewport={"width": 1280, "height": 900}, timezone_id="Europe/Paris")
        context.set_default_timeout(15_000)
        watch = Watch()
        watch.follow(context, address)
        hand = Hand(context.new_page(), address)

        hand.sign_in("lena@tilleuls.example")
        hand.go(f"/patients/?q={WHO}")
        hand.page.locator("main a", has_text=WHO).first.click()
        page = hand.page
        since = hand.clicks
        hand.press(re.compile("^Book course"))
        page.wait_for_url(re.compile(r"/book/"))
        picture(hand.page, options.show, "1-book")
        page.set_viewport_size({"width": 390, "height": 844})
        picture(hand.page, options.show, "1-book-phone")
        page.set_viewport_size({"width": 1280, "height": 900})
        check(page.locator(".bk-on").count() == SESSIONS, "five sessions are proposed on one screen")
        page.locator('.bk-on:nth-of-type(5) input[type="radio"]').nth(1).locator("xpath=..").click()
        hand.clicks += 1
        hand.press(re.compile("^Book"), within=page.locator(".mc-bar"))
        page.wait_for_url(re.compile(r"/patients/[0-9a-f-]+/"))
        booked = hand.clicks - since
        check(booked <= 4, f"the course took {booked} clicks")
        picture(hand.page, options.show, "2-booked")

        visits = page.locator('main a[href^="/appointments/"]')
        urls = [visits.nth(place).get_attribute("href") or "" for place in range(visits.count())]
        third = ""
        for url in dict.fromkeys(urls):
            hand.go(url)
            if "Session 3" in page.locator("h1").inner_text():
                third = url
                break
        check(third, "the third session has a page")
        since = hand.clicks
        hand.press("Move")
        page.wait_for_url(re.compile(r"/move/"))
        hand.click(page.locator(".mv-offers a").last)
        page.wait_for_url(re.compile(r"day="))
        picture(hand.page, options.show, "3-move")
        page.set_viewport_size({"width": 390, "height": 844})
        picture(hand.page, options.show, "3-move-phone")
        page.set_viewport_size({"width": 1280, "height": 900})
        hand.press("Move it, shift the rest")
        page.wait_for_url(re.compile(r"/appointments/[0-9a-f-]+/$"))
        check("3 visits have new times." in page.locator("body").inner_text(), "third to fifth have moved")
        moved = hand.clicks - since
        check(moved <= 3, f"the move took {moved} clicks")
        picture(hand.page, options.show, "4-moved")
        watch.check()
    print(f"  five sessions booked, one of them at another time: {booked} clicks")
    print(f"  the third moved with the rest:                    {moved} clicks, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
