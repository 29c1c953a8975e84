"""Pictures of the main pages at 390 and 1280 pixels, light and dark, and the rules of WCAG 2.2 AA on each.

    python -m tests.e2e.screenshots [--readme] [name ...]

Every picture goes to var/screenshots, or to the folder that --to names; with --readme the README's few also go to
docs/img. The sample clinic is shown at ten to ten in the morning, whatever the time is. Fails where axe-core finds a
violation, where a page scrolls sideways, or where the browser complains.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e.support import ROOT, Failed, Hand, Watch, browser, check, server

WIDTHS = (1280, 390)
THEMES = ("light", "dark")
RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
AXE = ROOT / "node_modules/axe-core/axe.min.js"
README = {"today": "today.png", "plan-draft": "plan.png"}

# What a picture shows must not depend on when it was taken.
SET_CLOCK = """
import datetime
import time

import django.core.cache.backends.base as base
import django.utils.timezone as zone

_real, _shift = zone.now, datetime.timedelta(seconds={seconds})
zone.now = lambda: _real() + _shift


class Clock:  # the cache reckons by this one when a mark fades
    @staticmethod
    def time():
        return time.time() + {seconds}


base.time = Clock
"""


@dataclass(frozen=True)
class Shot:
    name: str
    who: str  # a sample person's key, or nobody
    open: Callable[[Hand], None]
    status: int = 200


# ------------------------------------------------------------------ ways to a page


def at(path: str) -> Callable[[Hand], None]:
    return lambda hand: hand.go(path)


def person(name: str) -> Callable[[Hand], None]:
    """The record of the patient whom the list finds by that name."""

    def open_record(hand: Hand) -> None:
        hand.go(f"/patients/?q={name}")
        follow(hand, r"^/patients/[0-9a-f-]{36}/$")

    return open_record


def follow(hand: Hand, pattern: str, *, last: bool = False) -> None:
    """Open the first (or last) link of the page whose address matches."""
    links = hand.page.eval_on_selector_all("main a[href]", "links => links.map(link => link.getAttribute('href'))")
    found = [link for link in links if re.search(pattern, link.split("?")[0])]
    check(found, f"{hand.page.url} has no link to {pattern}")
    hand.go(found[-1 if last else 0])


def from_record(name: str, pattern: str, *, last: bool = False) -> Callable[[Hand], None]:
    def open_page(hand: Hand) -> None:
        person(name)(hand)
        follow(hand, pattern, last=last)

    return open_page


def press(before: Callable[[Hand], None], button: str | re.Pattern[str]) -> Callable[[Hand], None]:
    def open_page(hand: Hand) -> None:
        before(hand)
        hand.press(button)
        hand.page.wait_for_load_state("networkidle")

    return open_page


def first_of(path: str, pattern: str) -> Callable[[Hand], None]:
    """The first row of a list, opened."""

    def open_page(hand: Hand) -> None:
        hand.go(path)
        follow(hand, pattern)

    return open_page


PLAN, INTAKE, VISIT, MESSAGE = (
    rf"^/{kind}/[0-9a-f-]{{36}}/$" for kind in ("plans", "intakes", "appointments", "messages")
)


def refused_volume(hand: Hand) -> None:
    from_record("Noor", PLAN)(hand)
    field = hand.page.locator('li.ck input[name="volume_ml"]').first
    field.fill("99")
    field.press("Tab")
    hand.page.locator(".ck-err").first.wait_for()


def signing(hand: Hand) -> None:
    """What is still open says so in the dialogue."""
    from_record("Noor", PLAN)(hand)
    hand.page.get_by_role("button", name=re.compile("^Sign plan")).click(force=True)
    hand.page.locator("#sign").wait_for()


def conflict(hand: Hand) -> None:
    """An edit from a page that is behind: what was wanted beside what is."""
    from_record("Noor", PLAN)(hand)
    hand.page.wait_for_load_state("networkidle")
    hand.page.evaluate("document.querySelector('#plan-panes').dataset.revision = '999'")
    field = hand.page.locator('li.ck input[name="volume_ml"]').first
    field.fill("0.35")
    field.press("Enter")
    hand.page.locator("#conflict").wait_for()


def asked_what_if(hand: Hand) -> None:
    from_record("Noor", PLAN)(hand)
    hand.page.wait_for_load_state("networkidle")
    hand.press(re.compile("^What if"))
    dialog = hand.page.locator("#what-if")
    dialog.locator('select[name="avoid"]').select_option(index=1)
    hand.press("Show what follows", within=dialog)
    dialog.get_by_text("The plan now").wait_for()


def amendment(hand: Hand) -> None:
    """Of a signed plan, with one thing changed."""
    person("Rasmus")(hand)
    follow(hand, PLAN, last=True)
    if hand.page.get_by_role("button", name="Amend").count():
        hand.press("Amend")
    else:
        hand.click(hand.page.locator("a.mc-chip", has_text="amendment"))
    hand.page.locator("#amendment").wait_for()
    if not hand.page.locator("#amendment li").count():
        hand.click(hand.page.locator(".ck-swap").first)
        hand.click(hand.page.locator('#change label:has(input[value="-"])'))  # nothing in its place
        hand.press("Clinical judgement", within=hand.page.locator("#change"))
        hand.page.locator("#amendment li").first.wait_for()


def stop_plan(hand: Hand) -> None:
    from_record("Philippa", PLAN)(hand)
    follow(hand, r"/stop/$")


def keys(hand: Hand) -> None:
    hand.go("/patients/")
    hand.page.wait_for_load_state("networkidle")
    hand.page.keyboard.press("?")
    hand.page.locator("dialog#shortcuts[open]").wait_for()


def record_session(hand: Hand) -> None:
    """Of the visit whose time it is."""
    hand.go("/")
    follow(hand, r"/record/$")


def book_course(hand: Hand) -> None:
    person("Rasmus")(hand)
    follow(hand, PLAN, last=True)  # the signed one, where it is being amended
    follow(hand, r"/book/$")


def empty_form(hand: Hand) -> None:
    hand.go("/patients/new/")
    hand.press("Save")
    hand.page.locator('[aria-invalid="true"]').first.wait_for()


def elsewhere(hand: Hand) -> None:
    """The plan, by its address, for somebody who may know that it exists and no more."""
    person("Rasmus")(hand)
    follow(hand, r"/book/$")
    hand.go(hand.page.url.removeprefix(hand.address).removesuffix("book/"))


def refused_hours(hand: Hand) -> None:
    """Hours that end before they start, as they come back."""
    first_of("/clinic/sites/", r"/clinic/sites/[0-9a-f-]{36}/$")(hand)
    hand.type('input[name="hours-0-0-until"]', "07:00")
    hand.press(re.compile("Save the hours"))


def overbook(hand: Hand) -> None:
    from_record("Teodor", VISIT)(hand)
    hand.go(urlsplit(hand.page.url).path + "overbook/")


def refused_overbook(hand: Hand) -> None:
    """Over another patient's visit of the same day, without the reason in words."""
    overbook(hand)
    hand.type('input[name="time"]', "13:45")
    hand.page.locator('select[name="overbook_reason"]').select_option("other")
    hand.press("Book it all the same")


# ------------------------------------------------------------------ patients and intakes, in every state


def typed(hand: Hand, given: str, family: str, born: str) -> None:
    """The page for a new patient, filled in so far that a likely second record shows."""
    hand.go("/patients/new/")
    hand.page.wait_for_load_state("networkidle")
    hand.type('input[name="given_name"]', given)
    hand.type('input[name="family_name"]', family)
    hand.type('input[name="birth_date"]', born)
    hand.choose("sex_at_birth", "male")


def alike(hand: Hand) -> None:
    typed(hand, "Theodor", "Brandvold", "1987-06-08")
    hand.page.locator("aside.pt-dup li").first.wait_for()


def alike_refused(hand: Hand) -> None:
    alike(hand)
    hand.press("Save")
    hand.page.locator(".pt-asked").wait_for()


def twin(hand: Hand) -> str:
    """The path of a second record of Teodor Brandvold, which is made where it is not there yet."""
    hand.go("/patients/?q=Teodoro Brandvold")
    if not hand.page.locator("table.pt-table a", has_text="Teodoro").count():
        typed(hand, "Teodoro", "Brandvold", "1987-06-08")
        hand.page.locator("aside.pt-dup li").first.wait_for()
        hand.page.locator('input[name="different_person"]').check()
        hand.press("Save")
    else:
        hand.click(hand.page.locator("table.pt-table a", has_text="Teodoro").first)
    hand.page.wait_for_url(re.compile(r"/patients/[0-9a-f-]{36}/"))
    return urlsplit(hand.page.url).path


def merge_choose(hand: Hand) -> None:
    hand.go(twin(hand) + "merge/")


def merge_compare(hand: Hand) -> None:
    merge_choose(hand)
    if hand.page.get_by_role("button", name="Undo this merge").count():
        hand.press("Undo this merge")
        merge_choose(hand)
    follow(hand, r"/merge/[0-9a-f-]{36}/$")


def merged(hand: Hand) -> None:
    """The record that points to the one that remains."""
    merge_compare(hand)
    hand.type(
        'textarea[name="reason"], input[name="reason"]', "Registered twice: the same passport, a slip in the name"
    )
    hand.press("Merge")
    hand.go(twin(hand))


def remaining(hand: Hand) -> None:
    merged(hand)
    person("Teodor")(hand)


def moved_away(hand: Hand) -> None:
    """The list of those who are no longer treated; Solveig's twin has moved away."""
    hand.go("/patients/?q=Moe Ragna")
    if not hand.page.locator("table.pt-table a", has_text="Ragna").count():
        typed(hand, "Ragna", "Moe", "1971-02-03")
        hand.press("Save")
        hand.page.wait_for_url(re.compile(r"/patients/[0-9a-f-]{36}/"))
        hand.go(urlsplit(hand.page.url).path + "edit/")
        hand.page.locator('select[name="status"]').select_option("moved_away")
        hand.press("Save")
    hand.go("/patients/?status=moved_away")


def nearly(hand: Hand) -> None:
    hand.go("/patients/?q=Nakagava")


def draft_intake(hand: Hand, name: str, step: str) -> None:
    person(name)(hand)
    hand.press(re.compile("New intake|Continue intake|Start intake"))
    hand.page.wait_for_url(re.compile(r"/intakes/"))
    hand.go(urlsplit(hand.page.url).path + f"?step={step}")


def step(key: str) -> Callable[[Hand], None]:
    """One step of an intake that begins with the last one."""
    return lambda hand: draft_intake(hand, "Amara", key)


def medicines(hand: Hand) -> None:
    """What was made of a list: known, asked back, not known."""
    draft_intake(hand, "Amara", "medicines")
    hand.page.wait_for_load_state("networkidle")
    hand.type(
        "#id_medicines",
        "Aspirine 100 mg\nL04AX03\nminoxidil\nDr Grün's drops, twice a day before meals, from the market",
    )
    hand.page.locator("#medicines-map tbody tr:nth-child(4)").wait_for()


def wrong_answer(hand: Hand) -> None:
    draft_intake(hand, "Amara", "scalp")
    hand.page.wait_for_load_state("networkidle")
    hand.type('input[name="area-vertex"]', "as big as a hand")
    hand.click(hand.page.get_by_role("button", name="Review"))
    hand.page.locator("[data-focus-first]").wait_for()


def intake_conflict(hand: Hand) -> None:
    """The page is behind what somebody else saved: both stand side by side."""
    draft_intake(hand, "Amara", "wishes")
    hand.press("Save draft")
    hand.page.wait_for_load_state("networkidle")
    hand.page.evaluate("document.querySelector('#intake input[name=revision]').value = '0'")
    hand.page.locator('#intake textarea[name="note"]').evaluate("field => { field.value += ' Calmer than last time.' }")
    hand.press("Save draft")
    hand.page.locator("table.in-conflict").wait_for()


def intake_review(hand: Hand) -> None:
    draft_intake(hand, "Amara", "wishes")
    hand.go(urlsplit(hand.page.url).path.removesuffix("edit/") + "review/")


def anything_changed(hand: Hand) -> None:
    person("Philippa")(hand)
    hand.go(urlsplit(hand.page.url).path + "anything-changed/")


def anything_changed_refused(hand: Hand) -> None:
    anything_changed(hand)
    hand.press("Keep the answers")
    hand.page.locator('[role="alert"]').first.wait_for()


def stopped(hand: Hand) -> None:
    """A stopped plan, with why and by whom."""
    person("Marguerite")(hand)
    follow(hand, PLAN)
    if hand.page.get_by_role("link", name=re.compile("^Stop")).count():
        follow(hand, r"/stop/$")
        hand.choose("reason_code", hand.page.locator('input[name="reason_code"]').first.get_attribute("value") or "")
        hand.press(re.compile("^Stop plan"))


def someone_else_has_it_open(hand: Hand) -> None:
    """A draft that somebody else has open."""
    from_record("Noor", PLAN)(hand)
    other = hand.page.context.browser.new_page()  # type: ignore[union-attr]
    second = Hand(other, hand.address)
    second.sign_in("dora@tilleuls.example")
    second.go(urlsplit(hand.page.url).path)
    other.wait_for_load_state("networkidle")
    hand.page.reload()
    hand.page.locator("#presence").get_by_text("Lindgren").wait_for()
    other.close()


def found_from_anywhere(hand: Hand) -> None:
    hand.go("/formulary/")
    hand.page.wait_for_load_state("networkidle")
    hand.page.keyboard.press("/")
    hand.page.keyboard.type("brand")
    hand.page.locator('[role="option"]').first.wait_for()


SHOTS = (
    Shot("sign-in", "", at("/accounts/login/")),
    Shot("today", "lena", at("/")),
    Shot("day-empty", "lena", at("/day/2031-05-04/")),
    Shot("calendar-day", "lena", at("/calendar/?view=day")),
    Shot("calendar-rooms", "lena", at("/calendar/?view=day&by=room")),
    Shot("calendar-week", "lena", at("/calendar/?view=week")),
    Shot("calendar-week-of-all", "lena", at("/calendar/?view=week&by=room")),
    Shot("calendar-month", "lena", at("/calendar/?view=month")),
    Shot("calendar-agenda", "lena", at("/calendar/?view=agenda")),
    Shot("calendar-clocks", "lena", at("/calendar/?view=day&day=2026-10-25&hours=all&status=any")),
    Shot("calendar-free", "lena", first_of("/calendar/?view=day&day=2031-05-05", "^/calendar/free/")),
    Shot("calendar-feed", "lena", press(at("/calendar/feed/"), re.compile("^Make an"))),
    Shot("patients", "lena", at("/patients/")),
    Shot("patients-none-found", "lena", at("/patients/?q=zzzz")),
    Shot("patient-new", "cleo", at("/patients/new/")),
    Shot("patient-new-refused", "cleo", empty_form, 422),
    Shot("patient", "lena", person("Philippa")),
    Shot("patient-without-plan", "cleo", person("Ilse")),
    Shot("patient-edit", "lena", from_record("Philippa", r"/edit/$")),
    Shot("intake", "lena", from_record("Teodor", INTAKE)),
    Shot("intake-edit", "lena", press(person("Lennart"), re.compile("New intake|Continue intake"))),
    Shot("patient-new-alike", "cleo", alike),
    Shot("patient-new-alike-refused", "cleo", alike_refused, 422),
    Shot("patient-merge", "lena", merge_choose),
    Shot("patient-merge-into", "lena", merge_compare),
    Shot("patient-merged", "lena", merged),
    Shot("patient-remaining", "lena", remaining),
    Shot("patients-moved-away", "lena", moved_away),
    Shot("patients-nearly", "lena", nearly),
    Shot("patients-found", "lena", found_from_anywhere),
    *(Shot(f"intake-{key}", "lena", step(key)) for key in ("hair", "health", "scalp", "wishes")),
    Shot("intake-medicines", "cleo", medicines),
    Shot("intake-wrong", "lena", wrong_answer, 422),
    Shot("intake-conflict", "lena", intake_conflict, 409),
    Shot("intake-review", "lena", intake_review),
    Shot("anything-changed", "lena", anything_changed),
    Shot("anything-changed-refused", "lena", anything_changed_refused, 422),
    Shot("formulary-names", "cleo", at("/formulary/")),
    Shot("claims-incorrect", "lena", at("/formulary/claims/?verdict=incorrect")),
    Shot("plan-presence", "lena", someone_else_has_it_open),
    Shot("plan-stopped", "lena", stopped),
    Shot("plan-draft", "lena", from_record("Noor", PLAN)),
    Shot("plan-volume-refused", "lena", refused_volume, 400),
    Shot("plan-sign", "lena", signing),
    Shot("plan-blocked", "lena", from_record("Ottilie", PLAN)),
    Shot("plan-signed", "lena", from_record("Philippa", PLAN)),
    Shot("plan-exists", "cleo", elsewhere),
    Shot("plan-conflict", "lena", conflict, 409),
    Shot("plan-what-if", "lena", asked_what_if),
    Shot("plan-stop", "lena", stop_plan),
    Shot("keys", "lena", keys),
    Shot("book-course", "lena", book_course),
    Shot("appointment", "lena", from_record("Teodor", VISIT)),
    Shot("session-record", "lena", record_session),
    Shot("formulary", "lena", at("/formulary/")),
    Shot("ingredient", "lena", first_of("/formulary/", "/ingredients/")),
    Shot("formulary-none-found", "lena", at("/formulary/?kind=peptide&grade=A&status=flagged")),
    Shot("formulary-filtered", "lena", at("/formulary/?concern=seborrhoea_dandruff")),
    Shot("claims", "lena", at("/formulary/claims/")),
    Shot("formulary-versions", "dora", at("/formulary/versions/")),
    Shot(
        "formulary-version",
        "dora",
        first_of("/formulary/versions/", "/versions/[0-9a-f-]{36}/$"),
    ),
    Shot("messages", "lena", at("/messages/")),
    Shot("message", "lena", first_of("/messages/", MESSAGE)),
    Shot("patient-links", "lena", from_record("Philippa", r"/links/$")),
    Shot("inbox", "lena", at("/inbox/")),
    Shot("mail-wordings", "dora", at("/settings/mails/")),
    Shot("mail-wording", "dora", at("/settings/mails/reminder_7d/fr/")),
    Shot("document", "lena", press(from_record("Philippa", PLAN), "PDF for the patient")),
    Shot("audit", "dora", at("/audit/")),
    Shot("staff", "dora", at("/staff/")),
    Shot("staff-new", "dora", at("/staff/new/")),
    Shot("sites", "dora", at("/clinic/sites/")),
    Shot("site", "dora", first_of("/clinic/sites/", r"/clinic/sites/[0-9a-f-]{36}/$")),
    Shot("site-refused", "dora", refused_hours, 400),
    Shot("people", "dora", at("/clinic/people/")),
    Shot("person", "dora", first_of("/clinic/people/", r"/clinic/people/[0-9a-f-]{36}/$")),
    Shot("overbook", "lena", overbook),
    Shot("overbook-refused", "lena", refused_overbook, 400),
    Shot("second-factor", "lena", at("/accounts/2fa/")),
    Shot("signed-in-where", "lena", at("/accounts/sessions/")),
    Shot("password", "lena", at("/accounts/password/change/")),
    Shot("plan-amendment", "lena", amendment),
    Shot("not-found", "lena", at("/patients/00000000-0000-0000-0000-000000000000/"), 404),
    Shot("not-allowed", "cleo", at("/audit/"), 403),
)


# ------------------------------------------------------------------ taking them


def seconds_to_ten_to_ten() -> int:
    """From now to 09:50 in Lyon, today."""
    now = datetime.now(ZoneInfo("Europe/Paris"))
    return int((datetime.combine(now.date(), time(9, 50), now.tzinfo) - now).total_seconds())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--readme", action="store_true", help="also write the README's pictures to docs/img")
    parser.add_argument("--address", help="of a server that runs already")
    parser.add_argument("--to", type=Path, default=ROOT / "var/screenshots", help="another folder for the pictures")
    options = parser.parse_args()
    unknown = set(options.names) - {shot.name for shot in SHOTS}
    if unknown:
        parser.error(f"no picture is called {', '.join(sorted(unknown))}")
    chosen = [shot for shot in SHOTS if not options.names or shot.name in options.names]
    target: Path = options.to
    target.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []
    with ExitStack() as stack:
        clock = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (clock / "sitecustomize.py").write_text(SET_CLOCK.format(seconds=seconds_to_ten_to_ten()))
        address = options.address or stack.enter_context(
            server(MESOCLINIC_HOLD_SECONDS="1", MESOCLINIC_TICK_SECONDS="2", PYTHONPATH=str(clock))
        )
        opened = stack.enter_context(browser())
        for who in dict.fromkeys(shot.who for shot in chosen):
            for theme in THEMES:
                context, watch = window(opened, address, theme)
                hand = Hand(context.new_page(), address)
                if who:
                    hand.sign_in(f"{who}@tilleuls.example")
                for shot in (shot for shot in chosen if shot.who == who):
                    told = take(shot, hand, watch, theme, target)
                    faults += [f"{shot.name}, {theme}: {fault}" for fault in told]
                    print(f"  {shot.name:<24} {theme:<6} {'; '.join(told) or 'ok'}", flush=True)
                context.close()
    if options.readme:
        (ROOT / "docs/img").mkdir(parents=True, exist_ok=True)
        for name, picture in README.items():
            with Image.open(target / f"{name}-1280-light-top.png", caret="initial") as full:
                full.convert("RGB").quantize(128).save(ROOT / "docs/img" / picture, optimize=True)
    print(f"{len(chosen)} pages, {len(faults)} faults, pictures in {target}")
    return 1 if faults else 0


def window(opened: Browser, address: str, theme: str) -> tuple[BrowserContext, Watch]:
    context = opened.new_context(
        viewport={"width": WIDTHS[0], "height": 860},
        color_scheme="dark" if theme == "dark" else "light",
        locale="en-GB",
        timezone_id="Europe/Paris",
        reduced_motion="reduce",
    )
    context.set_default_timeout(15_000)
    watch = Watch()
    watch.follow(context, address)
    return context, watch


def take(shot: Shot, hand: Hand, watch: Watch, theme: str, target: Path) -> list[str]:
    page = hand.page
    told: list[str] = []
    watch.faults.clear()
    page.set_viewport_size({"width": WIDTHS[0], "height": 860})
    try:
        shot.open(hand)
    except Exception as error:
        page.screenshot(path=target / f"{shot.name}-failed.png", full_page=True, caret="initial")
        return [f"could not be opened: {str(error).splitlines()[0]}"]
    page.wait_for_load_state("networkidle")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 860})
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(80)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            told.append(f"scrolls {wide} px sideways at {width}")
        page.screenshot(path=target / f"{shot.name}-{width}-{theme}-top.png", caret="initial")
        # As tall as the page, so that the bar at its end covers nothing.
        tall = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": max(860, tall)})
        page.wait_for_timeout(80)
        told += [f"{fault} at {width}" for fault in violations(page)]
        page.screenshot(path=target / f"{shot.name}-{width}-{theme}.png", full_page=True, caret="initial")
    expected = f"status of {shot.status}"
    told += [fault for fault in watch.faults if not (shot.status != 200 and expected in fault)]
    return told


def violations(page: Page) -> list[str]:
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: rules}).then(done => done.violations.map("
        "v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ')).join(', ')))",
        RULES,
    )
    return [str(violation) for violation in found]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)
