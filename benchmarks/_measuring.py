"""What the benchmarks share: timing, a figure beside its reference, and a throwaway clinic to measure on."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any


def times(work: Callable[[], Any], *, rounds: int, warm: int = 1) -> list[float]:
    """Seconds of each round, after some that do not count."""
    for _ in range(warm):
        work()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return taken


def spread(taken: list[float]) -> str:
    ordered = sorted(taken)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"median {median(taken) * 1000:8.2f} ms   p99 {p99 * 1000:8.2f} ms"


def beside(name: str, figure: float, reference: str, other: float, *, unit: str) -> None:
    """One figure and its reference, measured in the same run."""
    print(f"  {name:<40} {figure:>10,.2f} {unit:<4} {reference}: {other:>10,.2f} {unit:<4} ratio {figure / other:.3g}")


def sample_clinic() -> ExitStack:
    """Django, set up on a throwaway database that holds the sample clinic. Close it to remove the files."""
    stack = ExitStack()
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mesoclinic-bench-"))
    os.environ.update(
        MESOCLINIC_DATA_DIR=folder,
        MESOCLINIC_LOG_LEVEL="ERROR",
        DJANGO_SETTINGS_MODULE="mesoclinic.settings",
        ALLOWED_HOSTS="*",
    )
    for name in ("DATABASE_URL", "REDIS_URL", "EMAIL_URL"):
        os.environ.pop(name, None)
    import django

    django.setup()
    from django.core.management import call_command

    call_command("prepare", sample=True)
    return stack
