"""Plan PDFs, a day pack and the worker's memory, beside bare WeasyPrint on the same HTML with fonts and CSS kept.

python -m benchmarks.documents [--plans 40] [--sheets 60] [--documents 60]      (peak memory: --documents 200)

A throwaway data folder and database; one process, one core. Figures are of this machine and this run.
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
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._measuring import beside, spread

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--plans", type=int, default=40)
    options.add_argument("--sheets", type=int, default=60)
    options.add_argument("--documents", type=int, default=60)
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
    from django.core.serializers.json import DjangoJSONEncoder

    from mesoclinic.documents import rendering
    from mesoclinic.documents.models import Document

    plan, visit = clinic()
    from protocols.documents import plan_part
    from sessions.documents import visit_part

    def row(part: dict[str, object]) -> Document:
        return Document(**json.loads(json.dumps(part, cls=DjangoJSONEncoder)))

    document, sheet = row(plan_part(plan, kind="plan_patient")), visit_part(visit, kind="preparation_sheet")
    first = clocked(lambda: rendering.render(document))
    html = kept_html(document)
    ours, bare = [], []
    for _ in range(asked.plans):  # in turns, so that both meet the same machine
        ours.append(clocked(lambda: rendering.render(document)))
        bare.append(clocked(lambda: bare_weasyprint(html)))
    print(f"plan, first in the process     {first * 1000:8.0f} ms")
    print(f"plan, warm                     {spread(ours)}")
    print(f"bare WeasyPrint, same HTML     {spread(bare)}")
    beside("plan, warm", median(ours) * 1000, "bare WeasyPrint", median(bare) * 1000, unit="ms")
    print(f"  aim: at most 1.10, {'met' if median(ours) <= 1.1 * median(bare) else 'missed'}")

    before = peak()
    pack = row({"kind": "pack", "title": "Day pack", "language": "en", "context": {"parts": [sheet] * asked.sheets}})
    took = clocked(lambda: rendering.render(pack))
    print(f"day pack of {asked.sheets} sheets          {took:8.1f} s    {took / asked.sheets * 1000:.0f} ms a sheet")
    print(f"peak memory before, after it   {before:8.0f} MB  {peak():.0f} MB")
    marks = []
    for number in range(asked.documents):
        rendering.render(document)
        if number in (asked.documents // 4, asked.documents - 1):
            marks.append(now_resident())
    print(f"resident after {asked.documents // 4} and {asked.documents} more  {marks[0]:8.0f} MB  {marks[-1]:.0f} MB")


def clinic() -> tuple[Any, Any]:
    """A clinic with one signed plan of four actives, its course booked."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("createcachetable")
    from sessions.actions import book_course
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
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def now_resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1_048_576


if __name__ == "__main__":
    sys.exit(main())
