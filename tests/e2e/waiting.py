"""No injections now: chosen on the plan, signed, printed; what if by typing; a severity held to against its stage.

    python -m tests.e2e.waiting [--address http://127.0.0.1:8000] [--show FOLDER]

Starts `make run` itself unless it gets the address of a server with the sample clinic. Two people without a caution: a
healthy man, whose plan is signed with at most two open questions, and one with shedding that settles by itself: there
waiting stands first. With --show it takes pictures of each step at 390 and 1280 px, light and dark.
"""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.builder import new_draft, ready_for_a_plan, signed_in
from tests.e2e.main_path import revision, wait_for_revision
from tests.e2e.support import PASSWORD, Hand, Watch, arguments, both_ways, browser, check, server, told_where

MOST_OPEN = 2


def main() -> int:
    options = arguments(__doc__)
    began = time.monotonic()
    with ExitStack() as stack:
        address = options.address or stack.enter_context(server())
        opened = stack.enter_context(browser())
        watch = Watch()
        hand = signed_in(opened, address, watch, "lena")
        with told_where(hand.page, watch, options.show):
            walk(hand, options.show)
        watch.check(expected=("status of 400",))
    print(f"  {time.monotonic() - began:.0f} s")
    return 0


def walk(hand: Hand, show: Path | None) -> None:
    draft = new_draft(hand, ready_for_a_plan(hand, concern="androgenetic_alopecia", severity="severe"))
    words_first(hand, draft, show)
    a_stage_and_a_choice(hand, draft, show)
    what_if_by_typing(hand, draft, show)
    few_questions(hand, draft)
    draft = new_draft(hand, ready_for_a_plan(hand, concern="telogen_effluvium", severity="mild"))
    wait(hand, draft, show)


def words_first(hand: Hand, draft: str, show: Path | None) -> None:
    """Each line says why it is in and how much it adds; the figures are one step away, with their rule."""
    page = hand.page
    hand.go(draft)
    line = page.locator("li.ck:not(.ck-d)").first
    said = line.locator(".ck-name").inner_text()
    check(re.search(r"Adds (much|some|little)\.", said), f"the line says “{said}”")
    check(not line.locator(".ck-weighed").is_visible(), "the figures stand there before they are asked for")
    line.locator(".ck-more summary").click()
    check("Decided by" in line.locator(".ck-weighed").inner_text(), "the figures do not name their rule")
    both_ways(page, show, "words")


def a_stage_and_a_choice(hand: Hand, draft: str, show: Path | None) -> None:
    """The stage counts until the practitioner holds to the choice and says why."""
    page = hand.page
    page.get_by_text("Moderate by stage (Norwood IV); chosen: severe.").wait_for()
    before = revision(page)
    page.get_by_text("Hold to the severity chosen…").click()
    hand.type('input[id^="insist-"]', "Fast over six months")
    hand.press("Hold to it")
    wait_for_revision(page, before)
    page.get_by_text("Chosen: severe, held to against the stage").wait_for()
    both_ways(page, show, "stage")


def what_if_by_typing(hand: Hand, draft: str, show: Path | None) -> None:
    """Two answers are found by typing, and a line comes for a fourth."""
    page = hand.page
    hand.go(draft)
    page.wait_for_load_state("networkidle")
    hand.press(re.compile("^What if"))
    dialog = page.locator("#what-if")
    lines = dialog.locator('input[name="answer"]')
    lines.first.wait_for()
    offered = dialog.locator("datalist option").evaluate_all("options => options.map(option => option.value)")
    vegan, smoker = (
        next(words for words in offered if re.search(text, words)) for text in ("nimal.*: Yes", "moke.*: Yes")
    )
    for place, words in enumerate((vegan, smoker, "nonsense")):
        lines.nth(place).fill(words)
    check(lines.count() == 4, f"{lines.count()} lines after three were used")
    hand.press("Show what follows", within=dialog)
    dialog.get_by_text("This answer is not known.").wait_for()
    check(lines.nth(2).input_value() == "nonsense", "what was typed is lost")
    lines.nth(2).fill("")
    hand.press("Show what follows", within=dialog)
    dialog.get_by_text("The plan now").wait_for()
    both_ways(page, show, "what-if")
    page.keyboard.press("Escape")


def few_questions(hand: Hand, draft: str) -> None:
    """A healthy patient's plan is signed with at most two open questions."""
    page = hand.page
    hand.go(draft)
    asked = page.locator('#questions [name^="value-"]').evaluate_all("all => new Set(all.map(one => one.name)).size")
    check(asked <= MOST_OPEN, f"a healthy patient is asked {asked} open questions")
    if page.locator("#open-reason").count():
        hand.type("#open-reason", "Asked; not measured at this visit.")
        hand.press("Rest not measured")
    page.get_by_text("nothing open").wait_for()
    sign(hand)


def wait(hand: Hand, draft: str, show: Path | None) -> None:
    """Waiting stands first, is chosen with one press, signed like any plan, and nothing can be booked by it."""
    page = hand.page
    first = page.locator("#alternatives .alt").first
    check("No injections now, review in 12 weeks" in first.inner_text(), "waiting does not stand first")
    both_ways(page, show, "alternatives")
    before = revision(page)
    hand.press(re.compile("^Wait"), within=first)
    wait_for_revision(page, before)
    page.get_by_text("12 weeks after the signature").first.wait_for()
    both_ways(page, show, "waiting")
    sign(hand)
    check(not page.get_by_role("link", name="Book course").count(), "a plan to wait can be booked")
    both_ways(page, show, "waiting-signed")
    hand.click(page.locator(".mc-patient a.mc-pname"))
    page.get_by_text(re.compile("no injections now, review on", re.IGNORECASE)).first.wait_for()
    both_ways(page, show, "record")


def sign(hand: Hand) -> None:
    page = hand.page
    hand.press(re.compile("^Sign plan"))
    hand.type('#sign input[name="password"]', PASSWORD)
    hand.click(page.locator('#sign button[type="submit"]'))
    page.get_by_text(re.compile("Signed by Dr Lena Ortiz")).first.wait_for()


if __name__ == "__main__":
    sys.exit(main())
