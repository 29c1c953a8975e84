"""HTML to a tagged PDF (PDF/UA-1).

The only place that knows WeasyPrint, and it is loaded on first use: without its system libraries the rest of the
product still runs, and the document says what is missing.
"""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.contrib.staticfiles import finders
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from mesoclinic import template_engine
from mesoclinic.documents.models import Document

# Relative addresses in a template lead here: never asked for by network, it stands for our own static files.
BASE_URL = "https://static.invalid/"
MOST_HTML_BYTES = 2_000_000
MOST_PDF_BYTES = 20_000_000
MOST_PAGES = 120
FONT_FOLDER = "vendor/inter-ttf"  # made by scripts/vendor.py


class CannotRender(Exception):
    """The document can't be made, and trying again would not help. Its text is a sentence for a person."""


@dataclass(frozen=True, kw_only=True)
class Pdf:
    data: bytes
    pages: int


def render(document: Document) -> Pdf:
    """The PDF of one document. The same row gives the same bytes."""
    kind = settings.DOCUMENT_KINDS[document.kind]
    zone = document.context.get("time_zone") or settings.TIME_ZONE
    with translation.override(document.language), timezone.override(ZoneInfo(zone)):
        html = template_engine.render(
            kind["template"],
            {**document.context, "title": document.title, "language": document.language, "kind": document.kind},
        )
    return render_html(html)


def render_html(html: str) -> Pdf:
    if len(html.encode()) > MOST_HTML_BYTES:
        raise CannotRender(_("It is too long to be printed."))
    tools = _tools()
    fetcher = tools.fetcher()
    try:
        page = tools.weasyprint.HTML(string=html, base_url=BASE_URL, url_fetcher=fetcher)
        laid_out = page.render(stylesheets=[tools.css], font_config=tools.fonts)
        if len(laid_out.pages) > MOST_PAGES:
            raise CannotRender(_("It has more than %(most)s pages.") % {"most": MOST_PAGES})
        data = laid_out.write_pdf(pdf_variant="pdf/ua-1", pdf_tags=True, optimize_images=True, jpeg_quality=70, dpi=150)
    except tools.Refused as error:
        raise CannotRender(str(error)) from None
    except SoftTimeLimitExceeded:
        raise CannotRender(_("It took longer than a minute to make.")) from None
    if len(data) > MOST_PDF_BYTES:
        raise CannotRender(_("The file is larger than 20 MB."))
    return Pdf(data=data, pages=len(laid_out.pages))


class _Tools:
    """WeasyPrint with the fonts and the style sheet, made once per process: building them costs more than a page."""

    def __init__(self) -> None:
        try:
            import weasyprint
            from weasyprint import urls
            from weasyprint.text.fonts import FontConfiguration
        except OSError as error:  # cffi: a shared library such as Pango is not installed
            raise CannotRender(
                _("The PDF engine is missing on the worker's machine. Install the packages in apt.txt, then try again.")
            ) from error

        class Refused(urls.FatalURLFetchingError):
            """The page asked for something that is not one of our own static files."""

        class Fetcher(urls.URLFetcher):
            """Opens our own static files and nothing else: no network, no other file of the machine."""

            def fetch(self, url: str, headers: Any = None) -> Any:
                path = own_static_file(url)
                if path is None:
                    raise Refused(_("It asks for %(url)s, which is not part of the product.") % {"url": url[:120]})
                kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                return urls.URLFetcherResponse(url, path.read_bytes(), {"Content-Type": kind})

        self.weasyprint = weasyprint
        self.Refused = Refused
        self.fetcher = Fetcher
        self.fonts = FontConfiguration()
        self.css = weasyprint.CSS(
            string=style_sheet(), base_url=BASE_URL, url_fetcher=Fetcher(), font_config=self.fonts
        )


@cache
def _tools() -> _Tools:
    return _Tools()


def style_sheet() -> str:
    """print.css, with the product's own Inter where it was vendored; the sheet's next family takes over where not."""
    found = finders.find("css/print.css")
    sheet = Path(found).read_text(encoding="utf-8") if isinstance(found, str) else ""
    alphabets = sorted({_alphabet(path) for path in font_files()}, key=lambda name: (name != "latin", name))
    families = ", ".join(f'"{_family(alphabet)}"' for alphabet in alphabets)
    if families:
        sheet = sheet.replace('"Inter"', families)
    return "\n".join([*(_font_face(path) for path in font_files()), sheet])


def font_files() -> list[Path]:
    """Inter as one TrueType file per alphabet and weight, such as ``inter-latin-ext-600.ttf``."""
    folder = finders.find(FONT_FOLDER)
    return sorted(Path(folder).glob("inter-*.ttf")) if isinstance(folder, str) else []


def _alphabet(path: Path) -> str:
    return path.stem.removeprefix("inter-").rpartition("-")[0]


def _family(alphabet: str) -> str:
    """Each alphabet is a family of its own. WeasyPrint tells fonts apart by family and weight: under one name it would
    draw a Polish or a Greek letter with whatever glyph has its number in the Latin file."""
    return "Inter" if alphabet == "latin" else f"Inter {alphabet}"


def _font_face(path: Path) -> str:
    weight = path.stem.rpartition("-")[2]
    source = f'url("{BASE_URL}{FONT_FOLDER}/{path.name}") format("truetype")'
    return f'@font-face {{ font-family: "{_family(_alphabet(path))}"; font-weight: {weight}; src: {source}; }}'


def own_static_file(url: str) -> Path | None:
    """The file behind ``css/x.css`` or ``/static/css/x.css`` under BASE_URL; None for anything else."""
    if not url.startswith(BASE_URL) or "?" in url:
        return None
    name = unquote(urlsplit(url).path).lstrip("/")
    prefix = settings.STATIC_URL.strip("/") + "/"
    name = name.removeprefix(prefix)
    if not name or ".." in name.split("/"):
        return None
    found = finders.find(name)
    return Path(found) if isinstance(found, str) else None
