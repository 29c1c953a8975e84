"""The builder in a browser: clicks counted, by keyboard alone, two people in one draft, and nothing lost on the way.

    python -m tests.e2e.builder [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` itself unless it gets the address of a server with the sample clinic. A plan without cautions is built
and signed in at most 6 clicks on one screen; a volume is changed in 2 and an ingredient in 3, the reason included. The
same is done by keyboard alone. Fails on any violation of the Content-Security-Policy and any error in the console.
"""

from __future__ import annotations

import random
import re
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page

from tests.e2e.main_path import ANSWERS, NONE_OF_THESE, ZONES, at_step_of, revision, wait_for_revision
from tests.e2e.support import (
    PASSWORD,
    Hand,
    Watch,
    arguments,
    browser,
    check,
    press_button,
    server,
    tab_to,
    told_where,
)

RANDOM = random.Random(time.time_ns())


def main() -> int:
    options = arguments(__doc__)
    began = time.monotonic()
    with ExitStack() as stack:
        address = options.address or stack.enter_context(server())
        opened = stack.enter_context(browser())
        watch = Watch()
        hand = signed_in(opened, address, watch, "lena")
        with told_where(hand.page, watch, options.show):
            walk(hand, opened, watch)
        watch.check(expected=("status of 409", "status of 400", "ERR_INTERNET_DISCONNECTED", "Failed to fetch"))
    for task, clicks in hand.tally:
        print(f"  {task:<52} {clicks:>3} clicks")
    print(f"  {time.monotonic() - began:.0f} s")
    return 0


def signed_in(opened: Browser, address: str, watch: Watch, who: str) -> Hand:
    context = opened.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Europe/Paris")
    context.set_default_timeout(15_000)
    watch.follow(context, address)
    hand = Hand(context.new_page(), address)
    hand.sign_in(f"{who}@tilleuls.example")
    return hand


def walk(hand: Hand, opened: Browser, watch: Watch) -> None:
    first = ready_for_a_plan(hand)
    one_screen_six_clicks(hand, first)
    second = ready_for_a_plan(hand)
    keyboard_alone(hand.page, hand.address, second)
    shortcuts(hand.page)
    edited_and_signed(hand, ready_for_a_plan(hand))
    third = ready_for_a_plan(hand)
    draft = new_draft(hand, third)
    a_volume_in_two(hand, draft)
    an_ingredient_in_three(hand, draft)
    an_ingredient_by_keyboard(hand.page)
    what_if(hand, draft)
    signed_out(hand, draft)
    no_server(hand, draft)
    two_tabs(hand, draft)
    two_people(hand, draft, signed_in(opened, hand.address, watch, "ben"))


# ------------------------------------------------------------------ a patient without a caution


def ready_for_a_plan(hand: Hand, *, concern: str = "androgenetic_alopecia", severity: str = "moderate") -> str:
    """Somebody new with a submitted intake that gives no caution; registering and starting takes 3 clicks."""
    page, before = hand.page, hand.clicks
    given, family = ("".join(RANDOM.choices("bcdfghklmnprstvz", k=9)).capitalize() for _ in "12")
    hand.go("/")
    hand.press("Patients", within=page.locator("nav").first)
    hand.press(re.compile("New patient"))
    hand.type('input[name="given_name"]', given)
    hand.type('input[name="family_name"]', family)
    born = datetime.now(UTC).year - RANDOM.randrange(26, 49)  # from 50 on there is one question more
    hand.type('input[name="birth_date"]', f"{born}-0{RANDOM.randrange(1, 9)}-1{RANDOM.randrange(9)}")
    page.locator('input[name="sex_at_birth"][value="male"]').focus()
    page.keyboard.press("Space")
    hand.type('input[name="email"]', f"{family.lower()}@patients.example")
    hand.press("Save and start intake")
    page.wait_for_url(re.compile(r"/intakes/[0-9a-f-]+/edit/"))
    hand.task("register and start an intake", since=before)
    check(hand.clicks - before == 3, f"registering and starting took {hand.clicks - before} clicks, not 3")
    patient = page.locator(".mc-patient a.mc-pname").get_attribute("href") or ""
    answers = {f"concern-{concern}": severity}
    answers |= {f"fact-{fact}": "(none)" for fact in NONE_OF_THESE}
    answers |= {f"fact-{fact}": value for fact, value in ANSWERS.items()}
    asked = page.locator("form[data-intake] input").evaluate_all("inputs => [...new Set(inputs.map(i => i.name))]")
    for name in sorted(answers, key=asked.index):
        at_step_of(hand, name)
        hand.choose(name, answers[name])
    for fact, value in {"bp_systolic": "124", "bp_diastolic": "78"}.items():
        at_step_of(hand, f"fact-{fact}")
        hand.type(f'input[name="fact-{fact}"]', value)
    at_step_of(hand, f"zone-{ZONES[0]}")
    for zone in ZONES:
        hand.click(page.locator(f'input[name="zone-{zone}"]').locator("xpath=ancestor::label[1]"))
    hand.press("Review", within=page.locator(".mc-bar"))
    page.wait_for_url(re.compile("/review/"))
    hand.press("Submit intake")
    page.wait_for_url(re.compile(r"/(patients|intakes)/[0-9a-f-]+/$"))
    return patient


def new_draft(hand: Hand, patient: str) -> str:
    hand.go(patient)
    hand.press("New plan")
    hand.page.wait_for_url(re.compile(r"/plans/[0-9a-f-]+/$"))
    return urlsplit(hand.page.url).path


# ------------------------------------------------------------------ built and signed


def one_screen_six_clicks(hand: Hand, patient: str) -> None:
    """From the patient's page to the signature; only typing besides."""
    page = hand.page
    hand.go(patient)
    before = hand.clicks
    hand.press("New plan")
    page.wait_for_url(re.compile(r"/plans/[0-9a-f-]+/$"))
    screen = page.url
    check(not page.locator('form[action$="/acknowledge/"]').count(), "this plan was to have no caution")
    if page.locator("#open-reason").count():
        hand.type("#open-reason", "Asked; not measured at this visit.")
        hand.press("Rest not measured")
    page.get_by_text("nothing open").wait_for()
    hand.press(re.compile("^Sign plan"))
    hand.type('#sign input[name="password"]', PASSWORD)
    hand.click(page.locator('#sign button[type="submit"]'))
    page.get_by_text(re.compile("Signed by Dr Lena Ortiz")).first.wait_for()
    check(page.url == screen, "it was not one screen")
    hand.task("a plan built and signed, no caution", since=before)
    check(hand.clicks - before <= 6, f"building and signing took {hand.clicks - before} clicks")


def keyboard_alone(page: Page, address: str, patient: str) -> str:
    """The whole job without the mouse: the patient, a plan, a volume with its reason, what is open, the signature."""
    page.goto(address + patient)
    press_button(page, "New plan")
    page.wait_for_url(re.compile(r"/plans/[0-9a-f-]+/$"))
    page.wait_for_load_state("networkidle")
    line = page.locator("li.ck:not(.ck-d)").first
    volume = line.locator('input[name="volume_ml"]')
    tab_to(page, f"#{volume.get_attribute('id')}")
    before, was = revision(page), Decimal(volume.input_value())
    wanted = was - Decimal(volume.get_attribute("step") or "0.05")
    page.keyboard.type(str(wanted))  # what was there is selected: typing replaces it
    page.keyboard.press("Enter")
    wait_for_revision(page, before)
    check(Decimal(volume.input_value()) == wanted, f"the volume is {volume.input_value()}, not {wanted}")
    check(revision(page) == before + 1, "one change was sent more than once")
    before = revision(page)
    press_button(page, "Clinical judgement")
    wait_for_revision(page, before)
    if page.locator("#open-reason").count():
        tab_to(page, "#open-reason")
        page.keyboard.type("Asked; not measured at this visit.")
        press_button(page, "Rest not measured")
    page.get_by_text("nothing open").wait_for()
    press_button(page, re.compile("^Sign plan"))
    page.locator("#sign-password").wait_for()
    page.wait_for_function("() => document.activeElement.id === 'sign-password'")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_text(re.compile("Signed by Dr Lena Ortiz")).first.wait_for()
    print("  by keyboard alone: plan, volume, reason, open answers, signature")
    return urlsplit(page.url).path


def shortcuts(page: Page) -> None:
    """“?” shows what the keys do, Escape closes it, and “g p” goes to the patients; none of it while one writes."""
    page.wait_for_load_state("networkidle")
    page.locator("h1").first.click()
    page.keyboard.press("?")
    sheet = page.locator("dialog#shortcuts[open]")
    sheet.wait_for()
    page.keyboard.press("Escape")
    sheet.wait_for(state="detached")
    page.keyboard.press("/")
    page.keyboard.type("g?p/")
    check(page.locator("#q").input_value() == "g?p/", "the keys are letters while one writes")
    check(not page.locator("dialog#shortcuts[open]").count(), "the sheet opened while somebody was writing")
    page.keyboard.press("Escape")
    page.locator("h1").first.click()
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url(re.compile(r"/patients/$"))


def edited_and_signed(hand: Hand, patient: str) -> None:
    """Volumes set by the stepper and by typing, in every spelling that people use, and the plan signed."""
    page = hand.page
    new_draft(hand, patient)
    page.wait_for_load_state("networkidle")
    lines = page.locator("li.ck:not(.ck-d)")
    by_stepper(hand, lines.nth(0))
    for place, spelling in ((1, "{:.2f}"), (2, "0{}")):
        if place < lines.count():
            by_typing(hand, lines.nth(place), spelling)
    if page.locator("#open-reason").count():
        hand.type("#open-reason", "Asked; not measured at this visit.")
        hand.press("Rest not measured")
    page.get_by_text("nothing open").wait_for()
    hand.press(re.compile("^Sign plan"))
    hand.type('#sign input[name="password"]', PASSWORD)
    hand.click(page.locator('#sign button[type="submit"]'))
    page.get_by_text(re.compile("Signed by Dr Lena Ortiz")).first.wait_for()
    print("  edited by stepper and by typing, and signed")


def by_stepper(hand: Hand, line: Locator) -> None:
    """Down until the second decimal is a nought, as from 0.45 to 0.40: that spelling once made a plan unsignable."""
    page, volume = hand.page, line.locator('input[name="volume_ml"]')
    for _press in range(2):
        before, was = revision(page), Decimal(volume.input_value())
        hand.click(line.locator('button[data-step="-1"]'))
        wait_for_revision(page, before)
        check(Decimal(volume.input_value()) < was, "the stepper did not lower the volume")
    before = revision(page)
    hand.press("Clinical judgement", within=line)
    wait_for_revision(page, before)


def by_typing(hand: Hand, line: Locator, spelling: str) -> None:
    page, volume = hand.page, line.locator('input[name="volume_ml"]')
    before, was = revision(page), Decimal(volume.input_value())
    step = Decimal(volume.get_attribute("step") or "0.05")
    wanted = next(each for n in (1, 2) if (each := was - n * step) * 10 % 1 == 0)
    hand.click(volume)
    page.keyboard.type(spelling.format(wanted))
    page.keyboard.press("Enter")
    wait_for_revision(page, before)
    check(Decimal(volume.input_value()) == wanted, f"the volume is {volume.input_value()}, not {wanted}")
    before = revision(page)
    hand.press("Clinical judgement", within=line)
    wait_for_revision(page, before)


# ------------------------------------------------------------------ changing


def a_volume_in_two(hand: Hand, draft: str) -> None:
    """One click into the volume, type, Enter; one click on the reason."""
    page = hand.page
    hand.go(draft)
    page.wait_for_load_state("networkidle")
    line = page.locator("li.ck:not(.ck-d)").first
    volume = line.locator('input[name="volume_ml"]')
    before, was, clicks = revision(page), Decimal(volume.input_value()), hand.clicks
    wanted = was - Decimal(volume.get_attribute("step") or "0.05")
    hand.click(volume)
    page.keyboard.type(str(wanted))
    page.keyboard.press("Enter")
    wait_for_revision(page, before)
    hand.press("Clinical judgement", within=line)
    wait_for_revision(page, before + 1)
    hand.task("a volume changed, with its reason", since=clicks)
    check(hand.clicks - clicks == 2, f"a volume took {hand.clicks - clicks} clicks")
    check(Decimal(volume.input_value()) == wanted, "the volume did not stay")
    check(
        line.locator('button[aria-pressed="true"]').inner_text().strip() == "Clinical judgement", "the reason is shown"
    )


def an_ingredient_in_three(hand: Hand, draft: str) -> None:
    """Open what could stand there, choose one and see what it changes, and the reason makes the change."""
    page = hand.page
    hand.go(draft)
    page.wait_for_load_state("networkidle")
    line = page.locator("li.ck:not(.ck-d)").last
    old, before, clicks = line.get_attribute("id"), revision(page), hand.clicks
    hand.click(line.locator(".ck-swap"))
    panel = page.locator("#change")
    panel.locator('input[name="with"]').first.wait_for()
    option = panel.locator("label.chg-o").nth(1)  # the first is nothing in its place
    key = option.locator("input").get_attribute("value")
    hand.click(option)
    panel.get_by_text("is new in the mixture").wait_for()
    check(revision(page) == before, "looking at it changed the draft")
    hand.press("The patient's wish", within=panel)
    wait_for_revision(page, before)
    hand.task("an ingredient swapped, with its reason", since=clicks)
    check(hand.clicks - clicks == 3, f"a swap took {hand.clicks - clicks} clicks")
    page.locator("#change[open]").wait_for(state="detached")
    check(not page.locator(f"#{old}").count(), "what was swapped out is still there")
    put_in = page.locator(f"#line-{key}")
    pressed = put_in.locator('button[aria-pressed="true"]').inner_text().strip()
    check(pressed == "The patient's wish", "the reason is shown beside it")
    page.wait_for_function("key => document.activeElement.closest(`#line-${key}`)", arg=key)


def an_ingredient_by_keyboard(page: Page) -> None:
    """One more without the mouse; “Other” wants words, and Enter after them is enough."""
    before = revision(page)
    tab_to(page, "#add-ingredient")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.name === 'with'")
    page.keyboard.press("Space")
    page.locator("#change-preview li").first.wait_for()
    tab_to(page, '#change button[value="other"]')
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'change-note'")
    page.locator("#chg-nerr").wait_for()
    page.keyboard.type("Talked over with her doctor")
    page.keyboard.press("Enter")
    wait_for_revision(page, before)
    page.locator("#edits").get_by_text("Other: Talked over with her doctor").wait_for()
    page.keyboard.press("Escape")


def what_if(hand: Hand, draft: str) -> None:
    """Opened on the plan, asked, answered beside the plan; the draft stays as it was."""
    page = hand.page
    hand.go(draft)
    page.wait_for_load_state("networkidle")
    before = revision(page)
    hand.press(re.compile("^What if"))
    dialog = page.locator("#what-if")
    field = dialog.locator('select[name="avoid"]')
    field.wait_for()
    field.select_option(index=1)
    hand.press("Show what follows", within=dialog)
    dialog.get_by_text("The plan now").wait_for()
    check(dialog.locator(".wi-list li").count() > 0, "leaving out an ingredient makes no difference")
    page.keyboard.press("Escape")
    page.locator("#what-if[open]").wait_for(state="detached")
    check(page.evaluate("document.activeElement.id") == "ask-what-if", "the focus does not come back to what opened it")
    page.reload()
    check(revision(page) == before, "asking changed the draft")


def signed_out(hand: Hand, draft: str) -> None:
    """The log-in timed out while somebody typed: nothing is lost, and after signing in elsewhere it goes on here."""
    page = hand.page
    hand.go(draft)
    page.wait_for_load_state("networkidle")
    volume = page.locator("li.ck:not(.ck-d)").nth(1).locator('input[name="volume_ml"]')
    before, was = revision(page), Decimal(volume.input_value())
    wanted = was - Decimal(volume.get_attribute("step") or "0.05")
    page.context.clear_cookies(name="sessionid")
    volume.fill(str(wanted))
    volume.press("Enter")
    page.locator("#away").get_by_text("You were signed out.").wait_for()
    check(volume.input_value() == str(wanted), "what was typed is gone")
    with page.context.expect_page() as opening:
        page.locator("#away").get_by_role("link").click()
    other = Hand(opening.value, hand.address)
    other.sign_in("lena@tilleuls.example")
    other.page.close()
    page.bring_to_front()
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.locator("#away").get_by_text("You are signed in again.").wait_for()
    volume.press("Enter")
    wait_for_revision(page, before)
    check(Decimal(volume.input_value()) == wanted, "it was not saved after signing in again")
    check(page.locator("#away").is_hidden(), "the page still speaks of being signed out")


def no_server(hand: Hand, draft: str) -> None:
    """The server is away for a moment: the page says so, keeps what was typed, and takes it the next time."""
    page = hand.page
    hand.go(draft)
    page.wait_for_load_state("networkidle")
    volume = page.locator("li.ck:not(.ck-d)").nth(1).locator('input[name="volume_ml"]')
    before, was = revision(page), Decimal(volume.input_value())
    wanted = was + Decimal(volume.get_attribute("step") or "0.05")
    page.context.set_offline(True)
    volume.fill(str(wanted))
    volume.press("Enter")
    page.locator("#away").get_by_text("The server does not answer.").wait_for()
    check(volume.input_value() == str(wanted), "what was typed is gone")
    page.context.set_offline(False)
    volume.press("Enter")
    wait_for_revision(page, before)
    check(Decimal(volume.input_value()) == wanted, "it was not saved")


def two_tabs(hand: Hand, draft: str) -> None:
    """The tab that is behind overwrites nothing, keeps what was typed, and shows both."""
    page = hand.page
    hand.go(draft)
    page.wait_for_load_state("networkidle")
    other = page.context.new_page()
    other.goto(hand.address + draft)
    other.wait_for_load_state("networkidle")
    key = "li.ck:not(.ck-d) >> nth=1"
    volume = page.locator(key).locator('input[name="volume_ml"]')
    step, was = Decimal(volume.get_attribute("step") or "0.05"), Decimal(volume.input_value())
    before = revision(page)
    volume.fill(str(was + step))
    volume.press("Enter")
    wait_for_revision(page, before)
    late = other.locator(key).locator('input[name="volume_ml"]')
    late.fill(str(was - step))
    late.press("Enter")
    conflict = other.locator("#conflict")
    conflict.wait_for()
    told = conflict.inner_text()
    for words in (f"{was - step}", f"{was + step}", "Lena Ortiz"):
        check(words in told, f"the refusal does not say {words}: {told}")
    page.reload()
    check(Decimal(volume.input_value()) == was + step, "the first tab's change was overwritten")
    conflict.get_by_role("button", name=re.compile("Do mine")).click()
    other.wait_for_function(
        "before => Number(document.querySelector('#plan-panes').dataset.revision) > before", arg=before + 1
    )
    check(Decimal(late.input_value()) == was - step, "doing it all the same did nothing")
    other.close()


def two_people(hand: Hand, draft: str, colleague: Hand) -> None:
    """Each is told that the other has the draft open."""
    colleague.go(draft)
    hand.go(draft)
    hand.page.locator("#presence").get_by_text(re.compile("open too")).wait_for()


if __name__ == "__main__":
    sys.exit(main())
