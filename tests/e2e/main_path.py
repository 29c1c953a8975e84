"""The main job, by hand, in a browser: a new patient, a signed plan, a booked course, the PDF and the mail that left.

    python -m tests.e2e.main_path [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` itself, with MESOCLINIC_HOLD_SECONDS=1 and MESOCLINIC_TICK_SECONDS=2, unless it gets the address of a
server that was started so. Counts clicks per task and prints them. Fails on any violation of the
Content-Security-Policy, any error in the console, any request to another host, and any answer of 500 or more.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

from playwright.sync_api import Page

from tests.e2e.support import PASSWORD, Hand, Watch, arguments, browser, check, picture, server, told_where

GIVEN, FAMILY, EMAIL = "Elio", "Fontaine-Abara", "elio.fontaine@patients.example"
NONE_OF_THESE = (
    "conditions",
    "medications",
    "allergies",
    "allergy_ingredients",
    "scalp_findings",
    "scalp_implant_zones",
)
ANSWERS = {
    "partner_trying_to_conceive": "no",
    "blood_donor": "no",
    "anaphylaxis_history": "none",
    "previous_mesotherapy_reaction": "none",
    "patchy_diagnosis": "not_applicable",
    "hair_loss_cause_known": "yes",
    "fever_or_acute_illness": "no",
    "vegan_preference": "no",
    "alcohol_free": "no",
    "smoker": "no",
    "alcohol_heavy": "no",
    "bdd_screen_positive": "no",
    "unrealistic_expectation": "no",
    "can_consent": "yes",
    "norwood_stage": "IV",
}
MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
ZONES = ("frontal", "vertex", "mid_scalp")


def main() -> int:
    options = arguments(__doc__)
    began = time.monotonic()
    with ExitStack() as stack:
        address = options.address or stack.enter_context(
            server(MESOCLINIC_HOLD_SECONDS="1", MESOCLINIC_TICK_SECONDS="2")
        )
        print(f"server at {address} after {time.monotonic() - began:.1f} s", flush=True)
        opened = stack.enter_context(browser())
        context = opened.new_context(
            viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Europe/Paris", accept_downloads=True
        )
        context.set_default_timeout(15_000)
        watch = Watch()
        watch.follow(context, address)
        page = context.new_page()
        hand = Hand(page, address)
        with told_where(page, watch, options.show):
            walk(hand, options.show)
        watch.check()
    for task, clicks in hand.tally:
        print(f"  {task:<44} {clicks:>3} clicks")
    print(f"  {'in all':<44} {hand.clicks:>3} clicks, {time.monotonic() - began:.0f} s")
    return 0


def walk(hand: Hand, show: Path | None) -> None:
    steps = (
        ("log in", log_in),
        ("register and start the intake", register),
        ("answer and submit the intake", answer),
        ("create the plan", create_plan),
        ("change one volume", change_volume),
        ("acknowledge and settle what is open", settle),
        ("sign", sign),
        ("book the whole course", book),
        ("download the PDF", download),
        ("find the confirmation as sent", find_confirmation),
    )
    for number, (name, step) in enumerate(steps, start=1):
        since = hand.clicks
        step(hand)
        hand.task(name, since=since)
        picture(hand.page, show, f"{number:02}-{name.replace(' ', '-')}")


def log_in(hand: Hand) -> None:
    hand.sign_in("lena@tilleuls.example")
    check(hand.page.get_by_role("heading", level=1).count() == 1, "Today has one main heading")


def register(hand: Hand) -> None:
    page = hand.page
    hand.press("Patients", within=page.locator("nav").first)
    hand.press(re.compile("New patient|Register"))
    hand.type('input[name="given_name"]', GIVEN)
    hand.type('input[name="family_name"]', FAMILY)
    hand.type('input[name="birth_date"]', "1987-04-02")
    hand.choose("sex_at_birth", "male")
    hand.type('input[name="email"]', EMAIL)
    hand.type('input[name="phone"]', "+33 6 00 00 00 87")
    hand.click(page.locator('input[name="contact_allowed"]').locator("xpath=ancestor::label[1]"))
    page.locator('select[name="language"]').select_option("en")
    hand.press("Save and start intake")
    page.wait_for_url(re.compile(r"/intakes/[0-9a-f-]+/edit/"))
    check(FAMILY in page.title(), "the title names the patient")


def at_step_of(hand: Hand, name: str) -> None:
    """Go to the step of the intake that asks ``name``, unless it is in sight."""
    page = hand.page
    step = page.locator(f'[data-step]:has(input[name="{name}"])').get_attribute("data-step")
    if not page.locator(f"#step-{step}.is-now").count():
        hand.click(page.locator(f'.in-sts a[data-to="{step}"]'))
        page.locator(f"#step-{step}.is-now").wait_for()


def answer(hand: Hand) -> None:
    page = hand.page
    choices = {"concern-androgenetic_alopecia": "moderate", "concern-poor_scalp_circulation": "mild"}
    choices |= {f"fact-{fact}": "(none)" for fact in NONE_OF_THESE}
    choices |= {f"fact-{fact}": value for fact, value in ANSWERS.items()}
    asked = page.locator("form[data-intake] input").evaluate_all("inputs => [...new Set(inputs.map(i => i.name))]")
    for name in sorted(choices, key=asked.index):
        at_step_of(hand, name)
        hand.choose(name, choices[name])
    at_step_of(hand, f"zone-{ZONES[0]}")
    for zone in ZONES:
        tick = page.locator(f'input[name="zone-{zone}"]')
        hand.click(tick.locator("xpath=ancestor::label[1]"))
        check(tick.is_checked(), f"zone {zone} did not stay chosen")
    hand.press("Review", within=page.locator(".mc-bar"))
    page.wait_for_url(re.compile("/review/"))
    hand.press("Submit intake")
    page.wait_for_url(re.compile(r"/(patients|intakes)/[0-9a-f-]+/$"))


def create_plan(hand: Hand) -> None:
    page = hand.page
    if "/intakes/" in page.url and not page.get_by_role("button", name="New plan").count():
        hand.click(page.locator(".mc-patient a").first)
    hand.press("New plan")
    page.wait_for_url(re.compile(r"/plans/[0-9a-f-]+/$"))


def revision(page: Page) -> int:
    return int(page.locator("#plan-panes").get_attribute("data-revision") or 0)


def wait_for_revision(page: Page, after: int) -> None:
    page.wait_for_function(
        "before => Number(document.querySelector('#plan-panes')?.dataset.revision) > before", arg=after
    )


def change_volume(hand: Hand) -> None:
    """One step less of the first ingredient, and why."""
    page = hand.page
    before = revision(page)
    line = page.locator("li.ck:not(.ck-d)").first
    volume = line.locator('input[name="volume_ml"]')
    was = Decimal(volume.input_value())
    hand.click(line.locator('button[data-step="-1"]'))
    wait_for_revision(page, before)
    now = Decimal(volume.input_value())
    check(now < was, f"the volume went from {was} to {now} mL")
    before = revision(page)
    hand.press("Clinical judgement", within=line)
    wait_for_revision(page, before)
    check(Decimal(volume.input_value()) == now, "the volume did not stay")


def settle(hand: Hand) -> None:
    page = hand.page
    while page.locator('form[action$="/acknowledge/"]').count():
        form = page.locator('form[action$="/acknowledge/"]').first
        rule = form.locator('input[name="rule"]').input_value()
        hand.select(form.locator('select[name="reason_code"]'), "explained")
        hand.press("Acknowledge", within=form)
        page.locator(f"#caution-{rule}.fd-done").wait_for()
    if page.locator("#open-reason").count():
        hand.type("#open-reason", "Asked; not measured at this visit.")
        hand.press("Rest not measured")
    page.get_by_text("nothing open").wait_for()


def sign(hand: Hand) -> None:
    page = hand.page
    hand.press(re.compile("^Sign plan"))
    hand.type('#sign input[name="password"]', PASSWORD)
    hand.click(page.locator('#sign button[type="submit"]'))
    page.get_by_text(re.compile("Signed by Dr Lena Ortiz")).first.wait_for()


def book(hand: Hand) -> None:
    page = hand.page
    hand.press("Book course")
    page.wait_for_url(re.compile(r"/plans/[0-9a-f-]+/book/"))
    hand.press("Book and notify")
    page.wait_for_url(re.compile(r"/(patients|plans)/[0-9a-f-]+/$"))


def download(hand: Hand) -> None:
    page = hand.page
    plan_page = page.url if "/plans/" in page.url else ""
    if not plan_page:
        hand.press("Open the plan with its reasons")
    shown = what_the_plan_says(page)
    hand.press("PDF for the patient")
    page.wait_for_url(re.compile(r"/documents/[0-9a-f-]+/(\?|$)"))
    link = page.get_by_role("link", name="Download the PDF")
    alert = page.locator("#document-status").get_by_role("alert")
    link.or_(alert).first.wait_for(timeout=180_000)  # the sample's own documents may stand before it in the queue
    check(not alert.count(), f"the PDF was not made: {alert.all_inner_texts()}")
    with page.expect_download() as pending:
        hand.click(link)
    text = " ".join(text_of(Path(pending.value.path())).split())
    missing = [wanted for wanted in (f"{GIVEN} {FAMILY}", *shown) if " ".join(wanted.split()) not in text]
    check(not missing, f"the PDF lacks {missing}; it says:\n{text}")
    print(f"  the PDF holds the patient and {', '.join(shown)}")


def what_the_plan_says(page: Page) -> list[str]:
    """Each ingredient, each dose with its unit, and each date, as the signed plan's page shows them."""
    lines = page.locator("li.ck:not(.ck-d)")
    lines.first.wait_for()  # the page may still be on its way
    names = lines.locator("h3").all_inner_texts()
    doses = lines.locator(".ck-dose b").all_inner_texts()
    dates = page.locator(".pl-dates li").all_inner_texts()
    check(names and len(names) == len(doses), f"{len(names)} ingredients and {len(doses)} doses on the plan's page")
    check(all(re.search(r"\d\s\S", dose) for dose in doses), f"a dose without unit: {doses}")
    check(len(dates) >= 3, f"the booked dates stand on the plan's page: {dates}")
    days = [re.search(rf"\d{{1,2}} (?:{MONTHS})", date) for date in dates]
    check(all(days), f"a date that cannot be read: {dates}")
    return [*names, *doses, *(day.group() for day in days if day)]


def text_of(pdf: Path) -> str:
    return subprocess.run(["pdftotext", str(pdf), "-"], capture_output=True, text=True, check=True).stdout


def find_confirmation(hand: Hand) -> None:
    page = hand.page
    hand.type("#q", FAMILY)
    page.locator("#q").press("Enter")
    hand.click(page.locator("main").get_by_role("link", name=re.compile(FAMILY)).first)
    page.wait_for_url(re.compile(r"/patients/[0-9a-f-]{36}/$"))
    hand.press("Messages", within=page.locator(".mc-filter"))
    row = page.locator(".tl li", has_text=re.compile("[Cc]onfirm|appointment")).filter(has_text=re.compile("Sent"))
    deadline = time.monotonic() + 30
    while not row.count():
        check(time.monotonic() < deadline, f"no confirmation was sent: {page.locator('.tl').inner_text()}")
        time.sleep(1)
        page.reload()


if __name__ == "__main__":
    sys.exit(main())
