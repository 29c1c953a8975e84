"""Proposals per second: the twelve worked cases on the starter formulary, and the search beside a MILP solver.

The reference is HiGHS, through SciPy, on the same random instances of 20, 40 and 60 ingredients and 8 concerns.
"""

from __future__ import annotations

import os
import random
from functools import partial
from statistics import median

from benchmarks._measuring import beside, spread, times


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from protocols.engine import propose
    from protocols.engine.select import select
    from tests.protocols.references import random_problem, solve_milp
    from tests.protocols.worked_cases import starter, worked_cases

    formulary = starter()
    taken = []
    for case in worked_cases():
        taken += times(partial(propose, case, formulary), rounds=20)
    print(f"  worked cases, starter formulary         {spread(taken)}   {len(taken) / sum(taken):8.1f} a second")
    for size in (20, 40, 60):
        rng = random.Random(f"bench {size}")
        problems = [random_problem(rng, ingredients=size, concerns=8) for _ in range(8)]
        ours = [times(partial(select, problem), rounds=3)[0] for problem in problems]
        theirs = [times(partial(solve_milp, problem, time_limit=60), rounds=1, warm=0)[0] for problem in problems]
        beside(f"search, {size} ingredients, 8 concerns", median(ours) * 1000, "MILP", median(theirs) * 1000, unit="ms")


if __name__ == "__main__":
    main()
