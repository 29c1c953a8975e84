"""Plan PDFs, a day pack and the worker's memory, beside bare WeasyPrint on the same HTML with fonts and CSS kept.

python -m benchmarks.documents [--plans 30] [--sheets 60] [--documents 200] [--only speed|pack|memory]

A throwaway data folder and database; one process. Times are seconds of one core, on this machine in this run. All of it
takes some four minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._measuring import beside, spread

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--plans", type=int, default=30)
    options.add_argument("--sheets", type=int, default=60)
    options.add_argument("--documents", type=int, default=200)
    options.add_argument("--only", choices=("speed", "pack", "memory"))
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "MESOCLINIC_DATA_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "mesoclinic.settings",
            "MESOCLINIC_LOG_LEVEL": "ERROR",
            "DATABASE_URL": "",
            "REDIS_URL": "",
        }
        sys.path.insert(0, str(ROOT))
        run(asked)
    return 0


def run(asked: argparse.Namespace) -> None:
    import django

    django.setup()
    plan, visit = clinic()
    from protocols.prints.documents import plan_part
    from sessions.prints.documents import visit_part

    sheet = visit_part(visit, kind="preparation_sheet")
    if asked.only in (None, "speed"):
        speed(row(plan_part(plan, kind="plan_patient")), rounds=asked.plans)
    if asked.only in (None, "pack"):
        pack(sheet, sheets=asked.sheets)
    if asked.only in (None, "memory"):
        kinds = ("plan_patient", "plan_record", "consent", "course_schedule")
        memory([*(row(plan_part(plan, kind=kind)) for kind in kinds), row(sheet)], count=asked.documents)


def row(part: dict[str, Any]) -> Any:
    from django.core.serializers.json import DjangoJSONEncoder

    from mesoclinic.documents.models import Document

    return Document(**json.loads(json.dumps(part, cls=DjangoJSONEncoder)))


def speed(document: Any, *, rounds: int) -> None:
    """The patient's plan, first and warm, beside the engine alone on the same HTML, in turns."""
    from mesoclinic.documents import rendering

    loading = clocked(rendering.load_engine)
    first = clocked(lambda: rendering.render(document))
    html = kept_html(document)
    ours, bare = [], []
    for _ in range(rounds):  # in turns, so that both meet the same machine
        ours.append(clocked(lambda: rendering.render(document)))
        bare.append(clocked(lambda: bare_weasyprint(html)))
    print(f"engine and templates           {loading * 1000:8.0f} ms   once per worker, before it forks")
    print(f"plan, first in a process       {first * 1000:8.0f} ms")
    print(f"plan, warm                     {spread(ours)}   {1 / median(ours):.1f} a second and core")
    print(f"bare WeasyPrint, same HTML     {spread(bare)}")
    beside("plan, warm", median(ours) * 1000, "bare WeasyPrint", median(bare) * 1000, unit="ms")
    print(f"  aim: at most 1.10, {'met' if median(ours) <= 1.1 * median(bare) else 'missed'}")


def pack(sheet: dict[str, Any], *, sheets: int) -> None:
    """A day's sheets in one file, made anew and with one sheet more."""
    from mesoclinic.documents import actions

    before = peak()
    for words, extra in (("each sheet new", 0), ("one sheet more than before", 1)):
        document = pack_of(sheet, sheets + extra)
        took = clocked(partial(actions.render_document, document.pk))
        document.refresh_from_db()
        print(f"day pack, {words:<27} {took:6.1f} s   {document.pages} pages, {document.size_bytes / 1e6:.1f} MB")
    print(f"peak memory before, after      {before:8.0f} MB  {peak():.0f} MB")


def memory(rows: list[Any], *, count: int) -> None:
    """One process that makes many documents, each kind in turn: what it holds must not grow with them."""
    from mesoclinic.documents import rendering

    for number in range(1, count + 1):
        rendering.render(rows[(number - 1) % len(rows)])
        if number in (len(rows), count // 4, count // 2, count * 3 // 4, count):
            print(f"after {number:4} documents           {now_resident():8.0f} MB resident, peak {peak():.0f} MB")


def pack_of(sheet: dict[str, Any], count: int) -> Any:
    """A pack of as many sheets, each for another patient."""
    from mesoclinic.accounts.models import User
    from mesoclinic.documents.actions import request_document

    parts = []
    for number in range(count):
        context = {**sheet["context"], "person": {**sheet["context"]["person"], "number": f"P-{number:05}"}}
        parts.append({**sheet, "context": context})
    by = User.objects.order_by("pk").first()
    return request_document(
        kind="pack",
        subject_id=sheet["subject_id"],
        person_id=None,
        title="Day pack",
        language="en",
        context={"parts": parts},
        by=by,
    )


def clinic() -> tuple[Any, Any]:
    """A clinic with one signed plan of four actives, its course booked."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("createcachetable")
    from sessions.booking.actions import book_course
    from sessions.models import Appointment
    from tests import factories
    from tests.factories_protocols import published_formulary, signed_plan
    from tests.sessions import factories as make

    lyon = factories.site(name="Lyon")
    ada = factories.user(given_name="Ada", family_name="Moreau", title="Dr", roles=["practitioner"], sites=[lyon])
    cleo = factories.user(given_name="Cleo", family_name="Petit", roles=["receptionist"], sites=[lyon])
    published_formulary()
    make.open_site(site=lyon, practitioner=ada, rooms=2)
    plan = signed_plan(by=ada, facts={"medications": ["antiplatelet_single"]})
    book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    return plan, Appointment.objects.get(number=1)


def kept_html(document: object) -> str:
    """The HTML of the last layout that our renderer made."""
    from mesoclinic.documents import rendering

    seen: list[str] = []
    real = rendering.lay_out

    def keeping(html: str, **given: str) -> object:
        seen.append(html)
        return real(html, **given)

    rendering.lay_out = keeping
    try:
        rendering.render(document)  # type: ignore[arg-type]
    finally:
        rendering.lay_out = real
    return seen[-1]


def bare_weasyprint(html: str) -> bytes:
    from mesoclinic.documents import rendering

    tools = rendering._tools()
    page = tools.weasyprint.HTML(string=html, base_url=rendering.BASE_URL, url_fetcher=tools.fetcher())
    return bytes(page.write_pdf(stylesheets=list(tools.sheets("A4")), font_config=tools.fonts, pdf_variant="pdf/ua-1"))


def clocked(work: Callable[[], object]) -> float:
    start = time.process_time()  # of this core, so that what else the machine does is left out
    work()
    return time.process_time() - start


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def now_resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1_048_576


if __name__ == "__main__":
    sys.exit(main())
