"""Every letter in every language on a phone: pictures at 390 px, light and dark, and nothing that scrolls sideways.

    python -m tests.e2e.mails [--show FOLDER]

The letters are the examples that a director sees beside the wording. Fails where a letter is wider than the phone at
390 or at 320 px, where its button is smaller than a finger, or where it asks for anything of another host.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from tests.e2e.support import ROOT, Failed, browser, check

WIDTHS = (390, 320)
PER_SHEET = 6
NARROW = """
() => [...document.querySelectorAll('body *')].filter(
    one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5 && one.offsetParent
).map(one => one.tagName + ': ' + one.textContent.trim().slice(0, 40))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", type=Path, default=ROOT / "var" / "mails", help="a folder for the pictures")
    show = parser.parse_args().show
    show.mkdir(parents=True, exist_ok=True)
    with letters() as found, browser() as opened:
        for theme in ("light", "dark"):
            page = opened.new_page(viewport={"width": WIDTHS[0], "height": 844}, color_scheme=theme)  # type: ignore[arg-type]
            asked: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            pictures: dict[str, list[Path]] = {}
            for (kind, language), html in found.items():
                picture = show / f"{kind}-{language}-{theme}.png"
                try:
                    look(page, html, picture)
                except Failed as failure:
                    print(f"FAILED: {kind}, {language}, {theme}: {failure}")
                    return 1
                pictures.setdefault(language, []).append(picture)
            outside = [url for url in asked if not url.startswith(("about:", "data:"))]
            if outside:
                print(f"FAILED: asked for {outside[0]}")
                return 1
            for language, files in pictures.items():
                sheets(files, show / f"all-{language}-{theme}")
            page.close()
    print(f"{len(found)} letters, light and dark, at {WIDTHS[0]} and {WIDTHS[1]} px; pictures in {show}")
    return 0


@contextmanager
def letters() -> Iterator[dict[tuple[str, str], str]]:
    """The HTML of each kind in each language, on a throwaway database."""
    with tempfile.TemporaryDirectory(prefix="mesoclinic-mails-") as folder:
        os.environ.update(MESOCLINIC_DATA_DIR=folder, DJANGO_SETTINGS_MODULE="mesoclinic.settings")
        for name in ("DATABASE_URL", "REDIS_URL", "EMAIL_URL"):
            os.environ.pop(name, None)
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright has a loop of its own in this thread
        import django

        django.setup()
        from django.core.management import call_command

        from mesoclinic.accounts.models import Clinic
        from sessions.mail.example import example
        from sessions.mail.letters import KINDS
        from tests import factories

        call_command("migrate", verbosity=0)
        site = factories.site(name="Lyon", time_zone="Europe/Paris")
        clinic = Clinic.objects.first() or factories.clinic()
        house = f"{clinic.name}, {site.name}"
        yield {
            (kind, language): example(kind, language, site=site, house=house, practitioner="Dr Lena Ortiz").html
            for kind in KINDS
            for language in ("en", "fr", "es")
        }


def look(page: Page, html: str, picture: Path) -> None:
    page.set_content(html)
    for width in reversed(WIDTHS):
        page.set_viewport_size({"width": width, "height": 844})
        wide = page.evaluate(NARROW)
        check(not wide, f"wider than {width} px: {'; '.join(wide[:3])}")
        sideways = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        check(sideways <= 0, f"scrolls {sideways} px sideways at {width}")
    for button in page.locator("a.button").all():
        box = button.bounding_box()
        check(box and box["height"] >= 44, "the button is smaller than a finger")
    page.screenshot(path=picture, full_page=True, caret="initial")


def sheets(files: list[Path], target: Path) -> None:
    """A few letters side by side, for the eye."""
    for number, start in enumerate(range(0, len(files), PER_SHEET), start=1):
        pictures = [Image.open(file).convert("RGB") for file in files[start : start + PER_SHEET]]
        sheet = Image.new("RGB", (sum(one.width + 10 for one in pictures), max(one.height for one in pictures)), "grey")
        left = 0
        for one in pictures:
            sheet.paste(one, (left, 0))
            left += one.width + 10
        sheet.save(target.with_name(f"{target.name}-{number}.png"))


if __name__ == "__main__":
    sys.exit(main())
