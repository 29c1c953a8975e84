"""What the browser scripts share: a server started as a person starts it, and a browser that counts clicks."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, sync_playwright

from tests.e2e.processes import processes_with

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "linden-blossom"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--no-first-run",
    "--no-pings",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
    "--metrics-recording-only",
    "--font-render-hinting=none",
]


TOO_WIDE = """[...document.querySelectorAll('body *')]
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
    .map(each => `${each.tagName}.${each.className} ${Math.round(each.getBoundingClientRect().right)}`).slice(0, 20)"""


class Failed(Exception):
    """The product did something else than it should; the sentence says what."""


def arguments(about: str | None) -> argparse.Namespace:
    """What each walk can be told: ``address`` and ``show``, both None where they are not given."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--address", help="of a server that runs already, with the sample clinic")
    parser.add_argument("--show", type=Path, help="a folder for pictures")
    return parser.parse_args()


def picture(page: Page, folder: Path | None, name: str) -> None:
    """The whole page as a picture, if somebody asked for pictures.

    The caret stays: hiding it leaves ``style=""`` on every field, which htmx carries over and the browser refuses.
    """
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=True, caret="initial")


def both_ways(page: Page, show: Path | None, name: str) -> None:
    """No page is wider than its window; pictures at both widths, light and dark."""
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark") if show else ():
            page.emulate_media(color_scheme=theme)
            picture(page, show, f"{name}-{width}-{theme}")
        fits(page, f"{name} at {width} pixels")
    page.emulate_media(color_scheme="light")


def fits(page: Page, where: str) -> None:
    """Nothing stands off the page; else what is too wide is named."""
    wide, window = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    if wide > window:
        raise Failed(f"{where}: something stands {wide - window} pixels off the page: {page.evaluate(TOO_WIDE)}")


def check(holds: object, sentence: str) -> None:
    if not holds:
        raise Failed(sentence)


# ------------------------------------------------------------------ the server


@contextlib.contextmanager
def server(**environment: str) -> Iterator[str]:
    """`make run` on a free port with a data folder of its own; its address. Afterwards no process of it is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="mesoclinic-e2e-") as folder:
        log = Path(folder) / "log"
        bare = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "MAKEFLAGS")}
        with log.open("w") as out:
            made = subprocess.Popen(
                ["make", "run"],
                cwd=ROOT,
                env={**bare, "PORT": str(port), "MESOCLINIC_DATA_DIR": f"{folder}/var", **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            started = time.monotonic()
            while "mesoclinic runs at" not in log.read_text():
                check(made.poll() is None, f"make run ended:\n{log.read_text()}")
                check(time.monotonic() - started < 300, f"make run did not start within 300 s:\n{log.read_text()}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        except BaseException:
            sys.stderr.write(log.read_text())
            raise
        finally:
            os.killpg(made.pid, signal.SIGINT)  # what Ctrl-C does: the whole foreground group gets it
            made.wait(90)
            left = processes_with(f"{folder}/var")
            check(not left, f"make run left processes behind: {left}")


# ------------------------------------------------------------------ the browser

WATCH_POLICY = """
document.addEventListener('securitypolicyviolation',
    event => console.error('CSP: ' + event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sample));
"""


@dataclass
class Watch:
    """Everything that went wrong in the pages, whoever looked."""

    faults: list[str] = field(default_factory=list)

    def follow(self, context: BrowserContext, address: str) -> None:
        own = urlsplit(address).netloc
        context.add_init_script(WATCH_POLICY)

        def asked(request: Request) -> None:
            where = urlsplit(request.url)
            if where.scheme in ("http", "https") and where.netloc != own:
                self.faults.append(f"asked another host: {request.url}")

        def said(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.faults.append(f"{message.page.url if message.page else ''}: {message.text}")

        context.on("request", asked)
        context.on("console", said)
        context.on("weberror", lambda error: self.faults.append(f"script error: {error.error}"))
        context.on(
            "response",
            lambda answer: self.faults.append(f"{answer.status} for {answer.url}") if answer.status >= 500 else None,
        )

    def check(self, *, expected: Sequence[str] = ()) -> None:
        """Nothing went wrong but what the walk brought about on purpose."""
        faults = [fault for fault in self.faults if not any(part in fault for part in expected)]
        check(not faults, "the browser complained:\n  " + "\n  ".join(faults))


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            yield opened
        finally:
            opened.close()


@contextlib.contextmanager
def told_where(page: Page, watch: Watch, folder: Path | None) -> Iterator[None]:
    """Where a walk stops short: the page, what the browser said and a picture; one line for what should have been."""
    try:
        yield
    except Exception as error:
        picture(page, folder, "failed")
        print(f"at {page.url}\n{watch.faults}", file=sys.stderr)
        if isinstance(error, Failed):
            sys.exit(f"FAILED: {error}")
        raise


class Hand:
    """A person at the page: counts clicks, not typing."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.clicks = 0
        self.tally: list[tuple[str, int]] = []

    def click(self, target: Locator | str) -> None:
        found = self.page.locator(target) if isinstance(target, str) else target
        found.click()
        self.clicks += 1

    def press(self, name: str | re.Pattern[str], *, within: Locator | None = None) -> None:
        """Click the button or link of that name."""
        where: Any = within or self.page
        button = where.get_by_role("button", name=name).or_(where.get_by_role("link", name=name))
        self.click(button.locator("visible=true").first)

    def type(self, selector: str, text: str) -> None:
        self.page.locator(selector).fill(text)

    def choose(self, name: str, value: str) -> None:
        """A radio button or tick box by its form name and value, through its label, as a person does."""
        field = self.page.locator(f'input[name="{name}"][value="{value}"]')
        self.click(field.locator("xpath=ancestor::label[1]").first)
        check(field.is_checked(), f"{name}={value} did not stay chosen")

    def select(self, target: Locator, value: str) -> None:
        """From a drop-down list: one click opens it, one chooses."""
        target.select_option(value)
        self.clicks += 2

    def task(self, name: str, *, since: int) -> None:
        self.tally.append((name, self.clicks - since))

    def go(self, path: str) -> None:
        self.page.goto(self.address + path)

    def sign_in(self, email: str) -> None:
        self.go("/accounts/login/")
        self.type('input[name="login"]', email)
        self.type('input[name="password"]', PASSWORD)
        self.click(self.page.locator('main form button[type="submit"], form button[type="submit"]').last)
        self.page.wait_for_url(re.compile(r"/(?!accounts/login)"))


# ------------------------------------------------------------------ without a mouse


@contextlib.contextmanager
def at_a_desk(options: argparse.Namespace, person: str) -> Iterator[Hand]:
    """Somebody of the sample, logged in at a wide window of Lyon; afterwards nothing may have gone wrong in a page."""
    with contextlib.ExitStack() as stack:
        address = options.address or stack.enter_context(server())
        context = stack.enter_context(browser()).new_context(
            viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Europe/Paris"
        )
        context.set_default_timeout(20_000)
        watch = Watch()
        watch.follow(context, address)
        page = context.new_page()
        with told_where(page, watch, options.show):
            hand = Hand(page, address)
            hand.sign_in(person)
            yield hand
        watch.check()


def visit_to_treat(hand: Hand, *states: str) -> dict[str, str]:
    """A booked visit of the sample whose patient's standing is one of these states."""
    rows = hand.page.request.get(f"{hand.address}/api/v1/appointments/?status=booked&limit=50").json()["results"]
    found: list[dict[str, str]] = [row for row in rows if row["standing"]["state"] in states]
    check(found, "The sample has no booked visit of somebody who may be treated.")
    return found[0]


def tab_to(page: Page, selector: str) -> None:
    """Tab until the element has the focus, as somebody without a mouse does."""
    page.locator(selector).first.wait_for(state="attached")
    for _ in range(220):
        if page.evaluate("selector => document.activeElement?.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise Failed(f"{selector} is not reached by Tab")


def press_button(page: Page, name: str | re.Pattern[str]) -> None:
    """Tab to the button of that name and press it."""
    button = (
        page.get_by_role("button", name=name).or_(page.get_by_role("link", name=name)).locator("visible=true").first
    )
    button.wait_for()
    for _ in range(220):
        if button.evaluate("element => element === document.activeElement"):
            page.keyboard.press("Enter")
            return
        page.keyboard.press("Tab")
    raise Failed(f"“{name}” is not reached by Tab")
