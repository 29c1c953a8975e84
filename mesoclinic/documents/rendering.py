"""HTML to a tagged PDF (PDF/UA-1), or to PDF/A-3 with the signed data inside.

The only place that knows WeasyPrint, and it is loaded on first use: without its system libraries the rest of the
product still runs, and the document says what is missing.
"""

from __future__ import annotations

import atexit
import gc
import logging
import mimetypes
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.contrib.staticfiles import finders
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from mesoclinic.core import template_engine
from mesoclinic.core.names import is_east_asian
from mesoclinic.documents import binding
from mesoclinic.documents.models import Document

# Relative addresses in a template lead here: never asked for by network, it stands for our own static files.
BASE_URL = "https://static.invalid/"
MOST_HTML_BYTES = 2_000_000
MOST_PDF_BYTES = 20_000_000
MOST_PAGES = 120
MOST_PAGES_OF_A_PACK = 1000
MOST_BYTES_OF_A_PACK = 100_000_000
SIZES = ("", "fit-1", "fit-2", "fit-2 fit-3")  # classes of print.css, each smaller than the one before
PAPERS = {"A4": "A4", "Letter": "letter"}
SIGNS_NAMED = 8  # of those that no font has
FIRST_PICTURE = 0x1F000  # from here on Unicode holds tiles, cards and emoji
FONT_FOLDER = "vendor/inter-ttf"  # made by scripts/vendor.py


class CannotRender(Exception):
    """The document can't be made, and trying again would not help. Its text is a sentence for a person."""


@dataclass(frozen=True, kw_only=True)
class Pdf:
    data: bytes
    pages: int


def render(
    document: Document,
    *,
    tell: Callable[[int], None] | None = None,
    make: Callable[[dict[str, Any]], Pdf] | None = None,
) -> Pdf:
    """The PDF of one document. The same row gives the same bytes.

    A pack is its parts, made one after the other by ``make`` and bound into one file; ``tell`` hears how many are done.
    """
    kind, context = settings.DOCUMENT_KINDS[document.kind], document.context
    if "parts" not in context:
        return _written(
            _laid_out(document.kind, document.title, document.language, context), kind=kind, context=context
        )
    parts = _parts(context["parts"], make=make or render_part, tell=tell)
    bound = binding.bind(parts, title=document.title, language=document.language)
    if len(bound.data) > MOST_BYTES_OF_A_PACK:
        raise CannotRender(_("The file is larger than 100 MB."))
    return Pdf(data=bound.data, pages=bound.pages)


def render_part(part: dict[str, Any]) -> Pdf:
    """One part of a pack, by itself."""
    return render(Document(**{key: part[key] for key in ("kind", "title", "language", "context")}))


def _parts(
    parts: list[dict[str, Any]], *, make: Callable[[dict[str, Any]], Pdf], tell: Callable[[int], None] | None
) -> Iterator[binding.Part]:
    pages = 0
    for number, part in enumerate(parts, start=1):
        pdf = make(part)
        pages += pdf.pages
        if pages > MOST_PAGES_OF_A_PACK:
            raise CannotRender(_("It has more than %(most)s pages.") % {"most": MOST_PAGES_OF_A_PACK})
        if tell:
            tell(number)
        yield binding.Part(data=pdf.data, title=part.get("mark") or part["title"], language=part["language"])


def _laid_out(name: str, title: str, language: str, context: dict[str, Any]) -> Any:
    """The pages of one document. A kind with ``fit`` is set smaller, in three steps at most, to come out on so many.

    A kind with ``leaves`` is so many pages; the second begins with an element ``id="leaf-2"``. Only the page that is
    too full is set smaller.
    """
    kind = settings.DOCUMENT_KINDS[name]
    zone = context.get("time_zone") or settings.TIME_ZONE
    paper = context.get("paper", "A4")
    steps = [0] * kind.get("leaves", 1)
    with translation.override(language), timezone.override(ZoneInfo(zone)):
        while True:
            sizes = [SIZES[step] for step in steps]
            html = template_engine.render(
                kind["template"],
                {**context, "title": title, "language": language, "kind": name, "size": sizes[0], "sizes": sizes},
            )
            pages = lay_out(html, paper=paper)
            full = [
                number
                for number, count in enumerate(_pages_of_leaves(pages, len(steps)))
                if count > kind.get("fit", MOST_PAGES) // len(steps) and steps[number] < len(SIZES) - 1
            ]
            if not full:
                return pages
            for number in full:
                steps[number] += 1


def _pages_of_leaves(laid_out: Any, leaves: int) -> list[int]:
    edges = [
        next(number for number, page in enumerate(laid_out.pages) if f"leaf-{leaf}" in page.anchors)
        for leaf in range(2, leaves + 1)
    ]
    edges = [0, *edges, len(laid_out.pages)]
    return [after - before for before, after in pairwise(edges)]


def render_html(html: str, *, paper: str = "A4") -> Pdf:
    return _written(lay_out(html, paper=paper), kind={}, context={})


def lay_out(html: str, *, paper: str = "A4") -> Any:
    if len(html.encode()) > MOST_HTML_BYTES:
        raise CannotRender(_("It is too long to be printed."))
    tools = _tools()
    try:
        page = tools.weasyprint.HTML(string=html, base_url=BASE_URL, url_fetcher=tools.fetcher())
        laid_out = page.render(stylesheets=tools.sheets(paper), font_config=tools.fonts)
    except tools.Refused as error:
        raise CannotRender(str(error)) from None
    except SoftTimeLimitExceeded:
        raise CannotRender(_("It took too long to make.")) from None
    if len(laid_out.pages) > MOST_PAGES:
        raise CannotRender(_("It has more than %(most)s pages.") % {"most": MOST_PAGES})
    return laid_out


def _written(laid_out: Any, *, kind: dict[str, Any], context: dict[str, Any]) -> Pdf:
    tools = _tools()
    variant = kind.get("variant", "pdf/ua-1")
    missing = _MissingSigns()
    laid_out.metadata.attachments = [tools.attachment(one) for one in context.get("attachments", [])]
    try:
        with missing.heard():
            data = laid_out.write_pdf(
                pdf_variant=variant, pdf_tags=True, optimize_images=True, jpeg_quality=70, dpi=150
            )
    except tools.Refused as error:
        raise CannotRender(str(error)) from None
    except SoftTimeLimitExceeded:
        raise CannotRender(_("It took too long to make.")) from None
    if missing.signs:
        drop_tools()  # they know the fonts of when they were made; the next try knows those that were added since
        raise CannotRender(missing.sentence())
    if len(data) > MOST_PDF_BYTES:
        raise CannotRender(_("The file is larger than 20 MB."))
    return Pdf(data=data, pages=len(laid_out.pages))


class _MissingSigns(logging.Handler):
    """Hears from the engine for which signs it drew an empty box, since no font has them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.signs: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if str(record.msg).startswith(".notdef") and isinstance(record.args, tuple):
            self.signs.add(chr(int(str(record.args[1]))))

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen below the level that settings.LOGGING lets through, and tell nobody else."""
        engine = logging.getLogger("weasyprint")
        level, engine.propagate = engine.level, False
        engine.setLevel(logging.WARNING)
        engine.addHandler(self)
        try:
            yield
        finally:
            engine.removeHandler(self)
            engine.setLevel(level)
            engine.propagate = True

    def sentence(self) -> str:
        """Say which signs, and what brings a font that has them."""
        signs = sorted(self.signs)
        shown = ", ".join(f"{sign if sign.isprintable() else '?'} (U+{ord(sign):04X})" for sign in signs[:SIGNS_NAMED])
        shown += ", …" if len(signs) > SIGNS_NAMED else ""
        if any(unicodedata.category(sign) in ("Co", "Cn", "Cs", "Cc") for sign in signs):
            return _("No font knows these signs: %(signs)s. Write the name or the text without them.") % {
                "signs": shown
            }
        packages = ", ".join(sorted({_package_with(sign) for sign in signs}))
        return _(
            "No font on the worker's machine has these signs: %(signs)s. Install %(packages)s there, then try again."
        ) % {"signs": shown, "packages": packages}


def _package_with(sign: str) -> str:
    """The system package of Debian and Ubuntu whose fonts have the sign."""
    if is_east_asian(sign):
        return "fonts-noto-cjk"
    return "fonts-noto-color-emoji" if ord(sign) >= FIRST_PICTURE else "fonts-noto-core"


def load_engine() -> None:
    """What a worker does once, before it forks: importing the engine and compiling the templates cost more than a page.

    No font is opened: Pango looks them up in a thread of its own, which the children would not have.
    """
    with suppress(OSError):  # its libraries are missing, which the documents themselves say
        import weasyprint  # noqa: F401
    for path in sorted((settings.BASE_DIR / "templates/documents").glob("*.html")):
        template_engine.load(f"documents/{path.name}")


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
        self._papers = {
            name: weasyprint.CSS(string=f"@page {{ size: {size} }}", font_config=self.fonts)
            for name, size in PAPERS.items()
        }

    def sheets(self, paper: str) -> Iterable[Any]:
        return [self.css, self._papers[paper]]

    def attachment(self, given: dict[str, str]) -> Any:
        """Data that travel inside the file. Its dates are given, since the day of printing would change the bytes."""
        at = datetime.fromisoformat(given["at"])
        return self.weasyprint.Attachment(
            string=given["text"].encode(),
            name=given["name"],
            description=given["description"],
            created=at,
            modified=at,
            relationship="Source",
        )


@cache
def _tools() -> _Tools:
    atexit.register(drop_tools)
    return _Tools()


def drop_tools() -> None:
    """The engine keeps its fonts in a folder of its own, a megabyte for each process, and takes it away when it is
    collected: at the end of a process it would be too late."""
    _tools.cache_clear()
    gc.collect()


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
