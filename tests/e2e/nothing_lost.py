"""Nothing typed is lost: signed out in between, the server gone, the page left, two tabs, an answer that cannot stand.

    python -m tests.e2e.nothing_lost [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` itself unless it gets the address of a server with the sample clinic. The browser reaches the server
through a relay of the walk's own, which goes away and comes back. With --show it takes pictures, at 390 and 1280 px.
"""

from __future__ import annotations

import random
import re
import socket
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page

from tests.e2e.builder import signed_in
from tests.e2e.screenshots import from_record
from tests.e2e.support import PASSWORD, Failed, Hand, Watch, arguments, browser, check, picture, server, told_where

NOTE = "Felt warm at the crown for a minute, then nothing."


class Relay:
    """Passes connections on to the server, until it is told to be gone."""

    def __init__(self, address: str) -> None:
        self.there = urlsplit(address).hostname or "", urlsplit(address).port or 80
        self.open: list[socket.socket] = []
        self.port = 0
        self.begin()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def begin(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._take, args=(self.listener,), daemon=True).start()

    def end(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in self.open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.open.clear()

    def _take(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, _whence = listener.accept()
                there = socket.create_connection(self.there)
                self.open += [here, there]
                for source, sink in ((here, there), (there, here)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def main() -> int:
    options = arguments(__doc__)
    began = time.monotonic()
    with ExitStack() as stack:
        relay = Relay(options.address or stack.enter_context(server()))
        stack.callback(relay.end)
        opened = stack.enter_context(browser())
        watch = Watch()
        hand = signed_in(opened, relay.address, watch, "lena")
        with told_where(hand.page, watch, options.show):
            signed_out(hand, options.show)
            server_gone(hand, relay, options.show)
            two_tabs(hand, options.show)
            one_answer(hand, options.show)
            pressed_twice(hand)
            signing_out_forgets(hand)
        recorder, path = whoever_records(opened, relay.address, watch)
        with told_where(recorder.page, watch, options.show):
            page_left(recorder, path, options.show)
            lot_and_its_reason(recorder, options.show)
        watch.check(expected=("status of 4", "ERR_CONNECTION", "net::ERR", "Failed to fetch"))
    print(f"  {time.monotonic() - began:.0f} s")
    return 0


def kept(page: Page) -> int:
    page.wait_for_load_state()
    found: int = page.evaluate("Object.keys(sessionStorage).filter(key => key.startsWith('kept:')).length")
    return found


def details(hand: Hand, name: str = "Philippa") -> str:
    from_record(name, r"/edit/$")(hand)
    return urlsplit(hand.page.url).path


def both_widths(page: Page, show: Path | None, name: str) -> None:
    page.wait_for_load_state()
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        picture(page, show, f"{name}-{width}")
        check(page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {width} px")
    page.set_viewport_size({"width": 1280, "height": 900})


def signed_out(hand: Hand, show: Path | None) -> None:
    """The log-in has ended: the form stays, and goes on after somebody has signed in again in another tab."""
    page = hand.page
    path = details(hand)
    hand.type('input[name="phone"]', "+33 6 11 22 33 44")
    page.context.clear_cookies(name="sessionid")
    hand.press("Save")
    page.get_by_text("You were signed out.").wait_for()
    check(page.url.endswith(path), "the page was left")
    both_widths(page, show, "signed-out")

    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in another tab").click()
    other = Hand(opened.value, hand.address)
    other.sign_in("lena@tilleuls.example")
    other.page.close()
    page.bring_to_front()
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.get_by_text("You are signed in again.").wait_for()
    hand.press("Save")
    page.wait_for_url(re.compile(r"/patients/[0-9a-f-]+/$"))
    check(kept(page) == 0, "what was saved is still kept")

    hand.go(path)
    check(page.locator('input[name="phone"]').input_value() == "+33 6 11 22 33 44", "the phone number is not saved")
    hand.type('input[name="phone"]', "+33 6 55 66 77 88")
    page.context.clear_cookies(name="sessionid")
    hand.go(path)  # by the log-in, in the same tab
    check("/accounts/login/" in page.url, "the log-in was not asked for")
    hand.type('input[name="login"]', "lena@tilleuls.example")
    hand.type('input[name="password"]', PASSWORD)
    hand.click(page.locator('form button[type="submit"]').last)
    page.wait_for_url(re.compile(path))
    hand.press("Put it back")
    check(page.locator('input[name="phone"]').input_value() == "+33 6 55 66 77 88", "what was typed is not put back")
    hand.press("Save")
    page.wait_for_url(re.compile(r"/patients/[0-9a-f-]+/$"))


def server_gone(hand: Hand, relay: Relay, show: Path | None) -> None:
    """Nobody answers: the form stays, says so, and is sent once somebody does."""
    page = hand.page
    details(hand)
    hand.type('input[name="phone"]', "+33 6 99 88 77 66")
    relay.end()
    hand.press("Save")
    page.get_by_text("The server does not answer.").wait_for()
    check(page.locator('input[name="phone"]').input_value() == "+33 6 99 88 77 66", "what was typed is gone")
    both_widths(page, show, "server-gone")
    relay.begin()
    hand.press("Save")
    page.wait_for_url(re.compile(r"/patients/[0-9a-f-]+/$"))


def whoever_records(opened: Browser, address: str, watch: Watch) -> tuple[Hand, str]:
    """Somebody with a visit to record today, in Lyon or, where the day is over there, in New York."""
    for who in ("lena", "sam"):
        hand = signed_in(opened, address, watch, who)
        found = hand.page.context.request.get(f"{address}/api/v1/appointments/?limit=200").json()["results"]
        for visit in sorted((row for row in found if row["status"] == "booked"), key=lambda row: row["starts_at"])[:3]:
            path = f"/appointments/{visit['id']}/record/"
            hand.go(path)
            if hand.page.get_by_role("button", name=re.compile("^Sign session")).count():
                return hand, path
    raise Failed("nobody has a visit to record today")


def page_left(hand: Hand, path: str, show: Path | None) -> None:
    """The record of a session, half written, and somebody goes to look at something else."""
    page = hand.page
    hand.go(path)
    hand.type('textarea[name="note"]', NOTE)
    hand.choose("tolerance", "2")
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    hand.go("/calendar/")
    check(asked == ["beforeunload"], "nothing was asked before unsaved words were left")
    hand.go(path)
    page.get_by_text("What you typed here was not saved.").wait_for()
    both_widths(page, show, "offered")
    hand.press("Put it back")
    check(page.locator('textarea[name="note"]').input_value() == NOTE, "the note is not put back")
    check(page.locator('input[name="tolerance"][value="2"]').is_checked(), "the tolerance is not put back")


def lot_and_its_reason(hand: Hand, show: Path | None) -> None:
    """A line without its lot asks why, right there; a refused record keeps note and tolerance."""
    page = hand.page
    line = page.locator("[data-line]").filter(has=page.locator("select option:nth-child(2)")).first
    hand.select(line.locator("select"), "")
    reason = line.locator('input[name^="reason-"]')
    check(reason.is_visible(), "no field asks why there is no lot")
    hand.choose("nothing_changed", "yes")
    if page.locator('textarea[name="standing_reason"]').count():
        hand.type('textarea[name="standing_reason"]', "Asked at the chair: none of it.")
    hand.type('input[name="password"]', PASSWORD)
    hand.press(re.compile("^Sign session"))
    page.get_by_text(re.compile("choose its lot, or say why none is recorded")).first.wait_for()
    line = page.locator(".rc-bad")
    check(line.locator('input[name^="reason-"]').is_visible(), "the reason's field is hidden where it is asked for")
    check(page.locator('textarea[name="note"]').input_value() == NOTE, "the refused record lost its note")
    check(page.locator('input[name="tolerance"][value="2"]').is_checked(), "the refused record lost the tolerance")
    both_widths(page, show, "lot")
    page.once("dialog", lambda dialog: dialog.accept())
    hand.go("/")


def two_tabs(hand: Hand, show: Path | None) -> None:
    """What one tab changed the other does not undo; what both changed is decided."""
    page = hand.page
    path = details(hand)
    second = Hand(page.context.new_page(), hand.address)
    second.go(path)
    second.type('input[name="phone"]', "+33 1 00 00 00 01")
    spoken = second.page.locator('select[name="language"]').input_value()
    second.page.locator('select[name="language"]').select_option("fr")
    second.press("Save")
    second.page.wait_for_url(re.compile(r"/patients/[0-9a-f-]+/$"))
    second.page.close()

    hand.type('input[name="phone"]', "+33 1 00 00 00 02")
    for _press in range(2):
        with page.expect_navigation():
            hand.press("Save")
        page.get_by_text("Nothing was overwritten.").first.wait_for()
        page.wait_for_load_state()
    check(page.locator('select[name="language"]').input_value() == "fr", "the other tab's language is undone")
    check("+33 1 00 00 00 01" in page.locator(".cf-2").inner_text(), "theirs does not stand beside mine")
    both_widths(page, show, "conflict")
    hand.click(page.locator(".cf-2 label.pick").last)
    hand.press("Save")
    page.wait_for_url(re.compile(r"/patients/[0-9a-f-]+/$"))
    hand.go(path)
    check(page.locator('input[name="phone"]').input_value() == "+33 1 00 00 00 02", "the decision was not kept")
    page.locator('select[name="language"]').select_option(spoken)  # as the other walks know the patient
    hand.press("Save")
    page.wait_for_url(re.compile(r"/patients/[0-9a-f-]+/$"))


def new_patient(hand: Hand) -> str:
    """Fill in the page for somebody whom nobody knows; their family name."""
    given, family = ("".join(random.choices("bcdfghklmnprstvz", k=9)).capitalize() for _ in "12")
    hand.go("/patients/new/")
    hand.type('input[name="given_name"]', given)
    hand.type('input[name="family_name"]', family)
    hand.type(
        'input[name="birth_date"]', f"19{random.randrange(50, 99)}-0{random.randrange(1, 9)}-1{random.randrange(9)}"
    )
    hand.page.locator('input[name="sex_at_birth"][value="male"]').check(force=True)
    return family


def one_answer(hand: Hand, show: Path | None) -> None:
    """An answer that cannot stand keeps nothing else from being saved, and is marked until it is mended."""
    page = hand.page
    new_patient(hand)
    hand.press("Save and start intake")
    page.wait_for_url(re.compile(r"/intakes/[0-9a-f-]+/edit/"))
    path = urlsplit(page.url).path
    step = page.locator("[data-step]", has=page.locator('input[name="fact-bp_systolic"]')).get_attribute("data-step")
    note = page.locator("[data-step]", has=page.locator('textarea[name="note"]')).get_attribute("data-step")
    hand.go(f"{path}?step={step}")
    hand.type('input[name="fact-bp_systolic"]', "39")
    page.get_by_text("One answer needs another look; the rest is saved.").wait_for()
    hand.go(f"{path}?step={note}")
    hand.type('textarea[name="note"]', NOTE)
    page.get_by_text("One answer needs another look; the rest is saved.").wait_for()
    hand.go(f"{path}?step={step}")
    check(page.locator('input[name="fact-bp_systolic"]').input_value() == "39", "what was typed is gone")
    mark = page.locator('[id="e-fact-bp_systolic"]')
    check("between 40 and 320" in mark.inner_text(), "the mark is gone before it was mended")
    check(page.locator('textarea[name="note"]').input_value() == NOTE, "the answer kept the note from being saved")
    both_widths(page, show, "one-answer")
    hand.type('input[name="fact-bp_systolic"]', "124")
    page.get_by_text(re.compile("^Last saved")).wait_for()
    check(not mark.is_visible(), "the mark stays although the answer is mended")


def pressed_twice(hand: Hand) -> None:
    """Two presses register one patient."""
    page = hand.page
    family = new_patient(hand)
    page.get_by_role("button", name="Save", exact=True).dblclick()
    page.wait_for_url(re.compile(r"/patients/[0-9a-f-]{36}/$"))
    hand.go(f"/patients/?q={family}")
    check(page.locator("main tbody tr").count() == 1, "two presses made two records")


def signing_out_forgets(hand: Hand) -> None:
    page = hand.page
    details(hand)
    hand.type('input[name="phone"]', "+33 6 12 12 12 12")
    check(kept(page) == 1, "the form is not kept")
    page.once("dialog", lambda dialog: dialog.accept())
    page.evaluate("document.querySelector('form[action$=\"/logout/\"]').requestSubmit()")
    page.wait_for_url(re.compile("/accounts/login/"))
    check(kept(page) == 0, "what was typed outlives the log-out")


if __name__ == "__main__":
    sys.exit(main())
