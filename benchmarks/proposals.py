"""Proposals per second: real formulary and 60 ingredients by 8 concerns, beside a MILP solver; what one what-if asks.

The reference is HiGHS, through SciPy, on the same random instances of 20, 40 and 60 ingredients and 8 concerns.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from benchmarks._measuring import beside, sample_clinic, spread, times


def main() -> None:
    with sample_clinic():
        from protocols.engine import propose, verify
        from protocols.engine.mixing.select import select
        from tests.protocols.patients_at_random import random_patient
        from tests.protocols.references import random_problem, solve_milp
        from tests.protocols.worked_cases import starter, worked_cases

        formulary, rng = starter(), random.Random("bench patients")
        patients = [random_patient(rng) for _ in range(400)]

        def whole(case: Any) -> Any:
            return propose(case, formulary).as_dict()

        rates("worked cases, answer", whole, worked_cases(), rounds=20)
        rates("random patients, answer", whole, patients, rounds=1)
        answers = [(whole(case), case) for case in worked_cases()]
        rates("second calculation", lambda pair: verify(pair[0], pair[1], formulary), answers, rounds=3)
        for size in (20, 40, 60):
            rng = random.Random(f"bench {size}")
            problems = [random_problem(rng, ingredients=size, concerns=8) for _ in range(12)]
            taken = rates(f"search, {size} ingredients, 8 concerns", select, problems, rounds=3)
            theirs = [times(partial(solve_milp, problem, time_limit=60), rounds=1, warm=0)[0] for problem in problems]
            beside(f"  {size} by 8, same instances", median(taken) * 1000, "MILP", median(theirs) * 1000, unit="ms")
            print(f"    the MILP takes {median(theirs) / median(taken):.0f} times as long (aim: 50)")
        what_if()


def rates(name: str, work: Callable[[Any], Any], cases: list[Any], *, rounds: int) -> list[float]:
    """Each case some rounds, the first of each not counted."""
    taken = [seconds for case in cases for seconds in times(partial(work, case), rounds=rounds)]
    print(f"  {name:<40} {spread(taken)}   {len(taken) / sum(taken):8.1f} a second")
    return taken


def what_if() -> None:
    """The queries and the time of one what-if: on the plan's page, and over the API."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from mesoclinic.accounts.models import User
    from protocols.models import Plan

    client = Client()
    client.force_login(
        User.objects.get(given_name="Lena"), backend="allauth.account.auth_backends.AuthenticationBackend"
    )
    draft = Plan.objects.filter(status="draft", result__status="proposed").order_by("-pk").first()
    assert draft is not None
    case = {key: draft.case[key] for key in ("facts", "concerns", "zones")}
    both = json.dumps({"old": case, "new": {**case, "facts": {**case["facts"], "vegan_preference": True}}})
    asked = {
        "what if, on the plan's page": partial(
            client.post, reverse("protocols:plan_what_if", args=[draft.public_id]), {"vegan": "yes"}
        ),
        "what if, over the API": partial(
            client.post, "/api/v1/proposals/compare/", both, content_type="application/json"
        ),
    }
    for name, ask in asked.items():
        with CaptureQueriesContext(connection) as queries:
            answer = ask()
        count = len(queries)
        assert answer.status_code == 200, (name, answer.status_code, answer.content[:300])
        print(f"  {name + f', {count} queries':<40} {spread(times(ask, rounds=15))}")


if __name__ == "__main__":
    main()
