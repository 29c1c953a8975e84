"""The calendar in a browser: its views, a visit dragged to a new time and moved, and the same by keyboard alone.

    python -m tests.e2e.calendar [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` itself unless it gets the address of a server with the sample clinic. Counts what the hand does:
clicks, drags, keys. Fails where nothing moves, where something moves before it was confirmed, where an update takes the
focus or the place on the page away, and on anything the browser complains about.
"""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Locator, Page

from tests.e2e.support import Hand, Watch, arguments, browser, check, picture, server

WHO = "Achterberg"
DRAG_STEPS, KEY_STEPS = 2, 4  # at most


def main() -> int:
    options = arguments(__doc__)
    began = time.monotonic()
    with ExitStack() as stack:
        address = options.address or stack.enter_context(
            server(MESOCLINIC_HOLD_SECONDS="1", MESOCLINIC_TICK_SECONDS="2")
        )
        opened = stack.enter_context(browser())
        context = opened.new_context(
            viewport={"width": 1280, "height": 1500},
            timezone_id="Europe/Paris",
            locale="en-GB",
            reduced_motion="reduce",
        )
        context.set_default_timeout(15_000)
        watch = Watch()
        watch.follow(context, address)
        hand = Hand(context.new_page(), address)
        page = hand.page

        hand.sign_in("lena@tilleuls.example")
        book_course(hand)
        views(hand, options.show)
        day = first_booked_day(page)

        hand.go(f"/calendar/?view=day&day={day}")
        was = visit_times(page)
        drag(page)
        picture(page, options.show, "2-dragging")
        page.mouse.up()
        page.wait_for_url(re.compile(r"/move/\?day="))
        picture(page, options.show, "3-what-it-does")
        steps = 1
        hand.go(f"/calendar/?view=day&day={day}")
        check(visit_times(page) == was, "nothing moves before it is confirmed")
        page.go_back()
        moved(page, confirm=lambda: hand.press("Move it, keep the rest"))
        steps += 1
        check(steps <= DRAG_STEPS, f"a move by hand took {steps} steps")
        hand.go(f"/calendar/?view=day&day={day}")
        now = visit_times(page)
        check(now != was and len(now) == len(was), f"the visit has a new time: {was} became {now}")
        picture(page, options.show, "4-dragged")

        keys = by_keyboard(page, options.show)
        check(keys <= KEY_STEPS, f"a move by keyboard took {keys} keys")
        hand.go(f"/calendar/?view=day&day={day}")
        check(visit_times(page) not in (was, now), "the visit has another time, by keyboard alone")
        stays_where_it_is(page, hand)
        watch.check()
    print(f"  a visit dragged to a new time and confirmed:  {steps} steps")
    print(f"  the same by keyboard alone, from the visit on: {keys} keys, {time.monotonic() - began:.0f} s")
    return 0


def book_course(hand: Hand) -> None:
    """Visits that lie ahead, wherever the sample's own are."""
    hand.go(f"/patients/?q={WHO}")
    hand.page.locator("main a", has_text=WHO).first.click()
    if hand.page.get_by_role("link", name=re.compile("^Book course")).count():
        hand.press(re.compile("^Book course"))
        hand.page.wait_for_url(re.compile(r"/book/"))
        hand.press(re.compile("^Book"), within=hand.page.locator(".mc-bar"))
        hand.page.wait_for_url(re.compile(r"/patients/[0-9a-f-]+/"))


def views(hand: Hand, show: Path | None) -> None:
    hand.go("/")
    hand.press("Calendar", within=hand.page.locator(".mc-nav"))
    check("/calendar/" in hand.page.url, "the navigation leads to the calendar")
    for name in ("Week", "Month", "Agenda", "Day"):
        hand.press(name, within=hand.page.locator("nav.cal-views").first)
        hand.page.wait_for_url(re.compile(f"view={name.lower()}"))
        check(hand.page.locator(".cal-views [aria-current]").first.inner_text() == name, f"{name} is shown")
    picture(hand.page, show, "1-day")


def first_booked_day(page: Page) -> str:
    """The first day ahead on which something can be moved."""
    page.goto(re.sub(r"/calendar/.*", f"/patients/?q={WHO}", page.url))
    page.locator("main a", has_text=WHO).first.click()
    urls = page.eval_on_selector_all('main a[href^="/appointments/"]', "links => links.map(link => link.href)")
    check(urls, "the course has visits")
    page.goto(urls[-1].split("?")[0])
    page.get_by_role("link", name="Move").first.click()
    return page.locator('input[name="day"]').first.input_value()


def mine(page: Page) -> Locator:
    return page.locator(".cv a[data-p]", has_text=WHO).first


def visit_times(page: Page) -> list[str]:
    return page.locator(".cv a b").all_inner_texts()


def drag(page: Page) -> None:
    """Into the last free time of the day. The window is high, so that all of it is in sight."""
    box, goal = mine(page).bounding_box(), page.locator(".cg-free").last.bounding_box()
    check(box and goal, "the visit and a free time are in sight")
    if box and goal:
        page.mouse.move(box["x"] + 60, box["y"] + 8)
        page.mouse.down()
        page.mouse.move(box["x"] + 62, box["y"] + 24)
        page.mouse.move(goal["x"] + 62, goal["y"] + 26, steps=6)
    check(page.locator(".cg-ghost").count() == 1, "where it would go is drawn")
    check(WHO in page.locator("[data-said]").inner_text(), "and said")


def moved(page: Page, *, confirm: object) -> None:
    check(page.get_by_role("heading", name="Keep the rest").count() == 1, "the page shows what the move does")
    reason = page.locator('[name="reason"]')
    if reason.count():
        reason.fill("She asked for it")
    if callable(confirm):
        confirm()
    page.wait_for_url(re.compile(r"/appointments/[0-9a-f-]+/$"))
    check("has a new time" in page.locator("body").inner_text(), "the visit has a new time")


def by_keyboard(page: Page, show: Path | None) -> int:
    """From the focused visit: M, arrows, Enter, then to the button that does it."""
    count = 0

    def press(key: str) -> None:
        nonlocal count
        page.keyboard.press(key)
        count += 1

    mine(page).focus()
    press("m")
    check("picked up" in page.locator("[data-said]").inner_text(), "picking up is said")
    press("Escape")
    check("Left where it was" in page.locator("[data-said]").inner_text(), "so is leaving it")
    count = 0
    press("m")
    press("ArrowDown")  # a quarter of an hour on; where the free time begins, there may be no room to prepare
    picture(page, show, "5-carried")
    press("Enter")
    page.wait_for_url(re.compile(r"/move/\?day="))
    page.locator('[name="reason"]').fill("She asked for it") if page.locator('[name="reason"]').count() else None
    page.get_by_role("button", name="Move it, keep the rest").focus()
    press("Enter")
    page.wait_for_url(re.compile(r"/appointments/[0-9a-f-]+/$"))
    return count


def stays_where_it_is(page: Page, hand: Hand) -> None:
    """An update of the page takes neither the focus nor the place on it, and asks without being sent anything."""
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate("document.querySelector('[data-scroller]').scrollTop = 40")
    link = page.locator(".cv a").first
    link.focus()
    before = page.evaluate(
        "[document.querySelector('[data-scroller]').scrollTop, scrollY, document.activeElement.href]"
    )
    for _time in range(2):  # where a quarter of an hour ends just now, the first has news
        with page.expect_response(lambda answer: "/calendar/" in answer.url, timeout=60_000) as told:
            pass
        if told.value.status == 304:
            break
    check(told.value.status == 304, f"an update without news is empty, not {told.value.status}")
    page.wait_for_timeout(300)
    after = page.evaluate("[document.querySelector('[data-scroller]').scrollTop, scrollY, document.activeElement.href]")
    check(before == after, f"the update moved something: {before} became {after}")


if __name__ == "__main__":
    sys.exit(main())
