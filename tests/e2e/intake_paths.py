"""Register, fill in an intake, lose nothing: by mouse with clicks counted, and by keyboard alone.

    python -m tests.e2e.intake_paths [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` itself unless it gets the address of a server with the sample clinic. Registering and starting an
intake takes 3 clicks. A closed tab and a second tab lose and overwrite nothing. axe finds nothing on any of these
pages, at 390 and 1280 px, light and dark, errors included.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

from tests.e2e.support import (
    ROOT,
    Hand,
    Watch,
    arguments,
    browser,
    check,
    picture,
    press_button,
    server,
    tab_to,
    told_where,
)

AXE = ROOT / "node_modules/axe-core/axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OF_COLOUR = ["color-contrast", "link-in-text-block"]
RANDOM = random.Random(time.time_ns())
GIVEN, FAMILY = ("".join(RANDOM.choices("bcdfghklmnprstvz", k=9)).capitalize() for _ in "12")
BORN = f"19{RANDOM.randrange(60, 99)}-{RANDOM.randrange(1, 12):02}-{RANDOM.randrange(1, 28):02}"
EXPECTED = ("409", "422", "status of 403", "ERR_INTERNET_DISCONNECTED", "Failed to fetch")  # brought about on purpose
SAVED = re.compile("Last saved")


def main() -> int:
    options = arguments(__doc__)
    with ExitStack() as stack:
        address = options.address or stack.enter_context(server())
        opened = stack.enter_context(browser())
        context = opened.new_context(
            viewport={"width": 1280, "height": 900},
            locale="en-GB",
            bypass_csp=True,
            reduced_motion="reduce",  # else axe would measure colours on their way from light to dark
        )
        context.set_default_timeout(15_000)
        watch = Watch()
        watch.follow(context, address)
        page = context.new_page()
        hand = Hand(page, address)
        with told_where(page, watch, options.show):
            hand.sign_in("lena@tilleuls.example")
            without_a_mouse(page, address)
            patient, intake = register_in_three_clicks(hand)
            keyboard_alone(page)
            close_the_tab(context, page, intake)
            no_server(page, intake)
            two_tabs(context, intake)
            timed_out(hand, intake)
            page.goto(intake)
            screening_speaks(page)
            medicines_are_mapped(page)
            zones_by_one_click(page)
            review_and_submit(hand, intake)
            search_by_keyboard(page)
            look_at_everything(page, address, patient, intake, options.show)
        watch.check(expected=EXPECTED)
    for task, clicks in hand.tally:
        print(f"  {task:<44} {clicks:>3} clicks")
    return 0


def without_a_mouse(page: Page, address: str) -> None:
    """A person is registered and their intake filled in and submitted, from the list of patients on, by keys alone."""
    page.goto(f"{address}/patients/")
    press_button(page, re.compile("New patient"))
    page.wait_for_url(re.compile("/patients/new/"))
    for field, typed in (
        ("given_name", "".join(reversed(GIVEN))),
        ("family_name", "".join(reversed(FAMILY))),
        ("birth_date", f"0404{RANDOM.randrange(1960, 2000)}"),
    ):
        tab_to(page, f'input[name="{field}"]')
        page.keyboard.type(typed)
    tab_to(page, 'input[name="sex_at_birth"]')
    page.keyboard.press("Space")
    press_button(page, "Save and start intake")
    page.locator("#step-identity.is-now").wait_for()
    page.wait_for_load_state("networkidle")
    press_button(page, "Continue")
    tab_to(page, 'input[name="concern-androgenetic_alopecia"]')
    page.keyboard.press("ArrowRight")
    press_button(page, "Continue")
    tab_to(page, '#step-health [data-part="heart"] input[value="none"]')
    page.keyboard.press("Space")
    press_button(page, "Continue")
    tab_to(page, "#id_medicine_more")
    page.keyboard.type("b01ac06 100 mg")
    page.keyboard.press("Enter")
    page.locator("#medicines-map").get_by_text("aspirin").wait_for()
    check(page.locator("#id_medicines").input_value() == "b01ac06 100 mg", "the medicine was not added to the list")
    for part in page.locator("#s-medicines [data-part]:not(:has([value=antiplatelet_single]))").all():
        tab_to(page, f'#s-medicines [data-part="{part.get_attribute("data-part")}"] input[value="none"]')
        page.keyboard.press("Space")
    press_button(page, "Continue")
    tab_to(page, 'input[data-zone-input="vertex"]')
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("75")  # what was there is selected: typing replaces it
    check(page.locator("[data-total-area] b").inner_text().startswith("75"), "the table did not set the area")
    press_button(page, re.compile("^7? *Review$"))
    page.wait_for_url(re.compile("/review/"))
    press_button(page, "Submit intake")
    page.wait_for_url(re.compile(r"/intakes/[0-9a-f-]+/$"))
    print("  by keyboard alone: register, intake, medicine by its code, zone and area, review, submit")


def register_in_three_clicks(hand: Hand) -> tuple[str, str]:
    page, before = hand.page, hand.clicks
    hand.press("Patients", within=page.locator("nav").first)
    hand.press(re.compile("New patient"))
    hand.type('input[name="given_name"]', GIVEN)
    hand.type('input[name="family_name"]', FAMILY)
    hand.type('input[name="birth_date"]', BORN)
    page.locator('input[name="sex_at_birth"]').first.focus()
    page.keyboard.press("Space")
    hand.type('input[name="email"]', f"{FAMILY.lower()}@patients.example")
    hand.press("Save and start intake")
    page.wait_for_url(re.compile(r"/intakes/[0-9a-f-]+/edit/"))
    hand.task("register and start an intake", since=before)
    check(hand.clicks - before == 3, f"registering and starting took {hand.clicks - before} clicks, not 3")
    href = page.locator(".mc-patient a.mc-pname").get_attribute("href") or ""
    return href, page.url.split("?")[0]


def saved(page: Page) -> None:
    page.wait_for_timeout(1_700)  # the page waits for a pause in typing before it saves
    page.locator("[data-intake-state]").get_by_text(SAVED).wait_for()


def keyboard_alone(page: Page) -> None:
    """From the first question to the second step, a part answered with one key, and back: no mouse."""
    page.locator('input[name="fact-blood_donor"]').first.focus()
    page.keyboard.press("ArrowRight")
    check(page.locator('input[name="fact-blood_donor"]:checked').count() == 1, "the arrow did not choose an answer")
    for step in ("hair", "health"):
        onwards = page.locator(f'.in-step.is-now button[data-to="{step}"]')
        onwards.focus()
        page.keyboard.press("Enter")
        page.locator(f"#step-{step}.is-now").wait_for()
        check(page.evaluate("document.activeElement.tagName") == "H2", "the focus is on the step's heading")
    none = page.locator('[data-part="heart"] input[data-part-answer][value="none"]').first
    none.focus()
    page.keyboard.press("Space")
    check(none.is_checked(), "no to all of these, by keyboard")
    asthma = page.locator('input[name="fact-conditions"][value="asthma"]')
    asthma.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("inhaler, since 2019")
    check(
        page.locator('input[name="detail-conditions-asthma"]').input_value() == "inhaler, since 2019", "details unfold"
    )
    saved(page)


def close_the_tab(context: BrowserContext, page: Page, intake: str) -> None:
    """What was typed and saved by itself is there in another tab, at the step where it was left."""
    again = context.new_page()
    again.goto(intake)
    again.locator("#step-health.is-now").wait_for()
    check(again.locator('input[name="fact-conditions"][value="asthma"]').is_checked(), "the answer was lost")
    check(again.locator('input[name="detail-conditions-asthma"]').input_value() != "", "the detail was lost")
    again.close()


def no_server(page: Page, intake: str) -> None:
    """The server is away while somebody types: the page says so and saves by itself once it is back."""
    page.goto(f"{intake}?step=wishes")
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    page.locator("#id_note").fill("Typed while the server was away")
    page.wait_for_timeout(2_500)
    check(not page.locator("[data-intake-state]").get_by_text(SAVED).count(), "it says saved without a server")
    page.context.set_offline(False)
    page.locator("[data-intake-state]").get_by_text(SAVED).wait_for()
    page.reload()
    check(page.locator("#id_note").input_value() == "Typed while the server was away", "what was typed was lost")


def two_tabs(context: BrowserContext, intake: str) -> None:
    first, second = context.new_page(), context.new_page()
    first.goto(f"{intake}?step=wishes")
    second.goto(f"{intake}?step=wishes")
    with first.expect_response(lambda answer: answer.url == intake and answer.request.method == "POST"):
        first.locator("#id_note").fill("From the first tab")
    saved(first)
    second.locator("#id_note").fill("From the second tab")
    second.get_by_text("Somebody else saved this intake").wait_for()
    second.get_by_role("button", name="Save draft").click()
    second.get_by_text("Your answers are still on this page").wait_for()
    check(second.locator("#id_note").input_value() == "From the second tab", "what was typed was lost")
    first.reload()
    check(first.locator("#id_note").input_value() == "From the first tab", "it was overwritten silently")
    first.close()
    second.close()


def timed_out(hand: Hand, intake: str) -> None:
    """Signed out, and a button pressed before the page could notice: it stays, and goes on after signing in."""
    page = hand.page
    page.goto(f"{intake}?step=wishes")
    page.wait_for_load_state("networkidle")
    page.context.clear_cookies()
    page.locator("#id_note").fill("Typed after the log-in had ended")
    page.get_by_role("button", name="Save draft").click()
    page.get_by_text("You are signed out").wait_for()
    check(page.locator("#id_note").input_value() == "Typed after the log-in had ended", "what was typed was lost")
    again = Hand(page.context.new_page(), hand.address)
    again.sign_in("lena@tilleuls.example")
    again.page.close()
    with page.expect_navigation():
        page.get_by_role("button", name="Save draft").click()
    page.goto(f"{intake}?step=wishes")
    check(page.locator("#id_note").input_value() == "Typed after the log-in had ended", "it was not saved")


def go_to(page: Page, step: str) -> None:
    page.locator(f'.in-sts a[data-to="{step}"]').click()
    page.locator(f"#step-{step}.is-now").wait_for()


def screening_speaks(page: Page) -> None:
    go_to(page, "medicines")
    check(page.locator('#screening-preview [data-rule="anticoagulant"]').count() == 0, "nothing was answered yet")
    page.locator("label", has=page.locator('input[name="fact-medications"][value="doac"]')).click()
    page.locator('#screening-preview [data-rule="anticoagulant"]').get_by_text("This will stop the plan").wait_for()
    page.locator("label", has=page.locator('input[name="fact-medications"][value="doac"]')).click()
    page.locator('#screening-preview [data-rule="anticoagulant"]').wait_for(state="detached")


def medicines_are_mapped(page: Page) -> None:
    page.locator("#id_medicines").fill("aspirin 100 mg\nC07AB07\nzzyzx drops")
    row = page.locator("#medicines-map tr", has_text="aspirin")
    row.get_by_text("One antiplatelet medicine").wait_for()
    page.locator("#medicines-map").get_by_text("to check").wait_for()
    saved(page)
    page.wait_for_function("document.querySelector('input[name=fact-medications][value=antihypertensive]').checked")
    page.locator("#id_other_allergies").fill("Nickel: rash")


def zones_by_one_click(page: Page) -> None:
    go_to(page, "scalp")
    stage = page.locator('input[name="fact-ludwig_stage"][value="II"], input[name="fact-norwood_stage"][value="IV"]')
    stage.first.locator("xpath=ancestor::label[1]").click()
    page.locator("[data-suggest]").get_by_text("Usual for the stage").wait_for()
    page.locator("[data-pattern].btn-soft").first.click()
    check(page.locator("[data-zone-input]:checked").count() >= 3, "the usual zones were not chosen")
    saved(page)


def no_to_the_rest(page: Page, step: str) -> None:
    left = page.locator(f'#step-{step} [data-part]:not(:has(input:checked)) input[value="none"]')
    while left.count():
        left.first.locator("xpath=ancestor::label[1]").click()


def review_and_submit(hand: Hand, intake: str) -> None:
    page = hand.page
    hand.press("Review", within=page.locator(".mc-bar"))
    page.wait_for_url(re.compile("/review/"))
    page.get_by_text("Read these first").wait_for()
    page.get_by_role("button", name="Submit intake").click()
    page.get_by_text("Not submitted.").wait_for()
    check(page.get_by_text("Choose at least one concern").count() > 0, "it does not say what is needed")
    page.goto(f"{intake}?step=hair")
    hand.choose("concern-androgenetic_alopecia", "moderate")
    go_to(page, "health")
    no_to_the_rest(page, "health")
    go_to(page, "medicines")
    no_to_the_rest(page, "medicines")
    hand.press("Review", within=page.locator(".mc-bar"))
    page.wait_for_url(re.compile("/review/"))
    page.get_by_role("button", name="Submit intake").click()
    page.wait_for_url(re.compile(r"/intakes/[0-9a-f-]+/$"))
    before = hand.clicks
    hand.press("Reviewed")
    page.get_by_text("Reviewed by").wait_for()
    hand.task("review an intake", since=before)


def search_by_keyboard(page: Page) -> None:
    page.wait_for_load_state("networkidle")  # the keys are there once the scripts are
    page.locator("h1").first.click()
    page.keyboard.press("/")
    page.keyboard.type(FAMILY[:-1] + "x")  # a slip of the finger
    page.locator("#found [role=option]").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/patients/[0-9a-f-]+/$"))
    check(FAMILY in page.title(), "the search did not lead to the patient")


def look_at_everything(page: Page, address: str, patient: str, intake: str, show: Path | None) -> None:
    merge = f"{address}{patient}merge/"
    started: list[str] = []

    def start() -> None:
        page.goto(f"{address}{patient}")
        page.evaluate(
            """async (path) => {
                const form = document.createElement('form');
                form.method = 'post'; form.action = path;
                const token = document.createElement('input');
                token.name = 'csrfmiddlewaretoken';
                token.value = document.querySelector('meta[name=csrf-token]').content;
                form.append(token); document.body.append(form); form.submit();
            }""",
            f"{patient}intakes/new/",
        )
        page.wait_for_url(re.compile("/edit/"))
        started.append(page.url.split("?")[0])

    start()
    draft = started[0]

    def wrong() -> None:
        page.goto(f"{draft}?step=scalp")
        page.locator('input[name="fact-bp_systolic"]').fill("9")
        page.get_by_role("button", name="Save draft").click()
        page.locator('[role="alert"]').wait_for()

    def empty_day_check() -> None:
        page.goto(f"{address}{patient}anything-changed/")
        page.get_by_role("button", name="Keep the answers").click()
        page.locator('[role="alert"]').wait_for()

    def found() -> None:
        page.goto(f"{address}/patients/")
        page.wait_for_load_state("networkidle")
        page.keyboard.press("/")
        page.keyboard.type("mar")
        page.locator("#found").get_by_text(re.compile("found|matches")).first.wait_for()

    places: list[tuple[str, str | Callable[[], None]]] = [
        ("list", f"{address}/patients/"),
        ("found", found),
        ("new", f"{address}/patients/new/"),
        ("edit", f"{address}{patient}edit/"),
        ("merge", merge),
        *(
            (f"step-{step}", f"{draft}?step={step}")
            for step in ("identity", "hair", "health", "medicines", "scalp", "wishes")
        ),
        ("error", wrong),
        ("review", draft.replace("/edit/", "/review/")),
        ("detail", intake.replace("/edit/", "/")),
        ("day-check", empty_day_check),
    ]
    problems: list[str] = []
    for name, place in places:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="light")
        if isinstance(place, str):
            page.goto(place)
        else:
            place()
        for width in (1280, 390):
            problems += [f"{name} {line}" for line in looked_at(page, name, width, show)]
    check(not problems, "axe:\n  " + "\n  ".join(problems))
    print(f"  axe: nothing on {len(places)} pages, at two widths, light and dark")


def looked_at(page: Page, name: str, width: int, show: Path | None) -> list[str]:
    """What is wrong with the page at this width, in both themes. Dark differs in its colours only."""
    problems: list[str] = []
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(150)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if wide > 0:
        problems.append(f"{width}: {wide} px wider than the screen")
    # As tall as the page is: what can be scrolled from under the bars counts as seen.
    tall = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": min(max(900, tall), 12_000)})
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(100)
        rules = {"type": "tag", "values": TAGS} if theme == "light" else {"type": "rule", "values": OF_COLOUR}
        problems += [f"{width} {theme}: {line}" for line in violations(page, rules)]
        picture(page, show, f"{name}-{width}-{theme}")
    return problems


def violations(page: Page, rules: Mapping[str, object]) -> list[str]:
    if not page.evaluate("typeof axe === 'object'"):
        page.add_script_tag(path=str(AXE))
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: rules}).then(r => r.violations.map(v => "
        "v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + (n.any[0]?.message ?? ''))"
        ".join(' | ')))",
        rules,
    )
    return list(found)


if __name__ == "__main__":
    sys.exit(main())
