"""The screens of a plan ask the database the same number of questions, however much there is."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mesoclinic.accounts.models import User
from protocols.models import FormularyVersion, Plan
from tests import factories


def queries(client: Client, url: str, **sent: Any) -> int:
    """Of one request; posted as the page does, where something is sent."""
    with CaptureQueriesContext(connection) as found:
        answer = client.post(url, sent, headers={"HX-Request": "true"}) if sent else client.get(url)
    assert answer.status_code == 200, answer.content
    return len(found)


def test_builder_and_recompute_cost_the_same_with_1_plan_and_with_20(draft: Plan, ada: User, sign_in) -> None:
    client, page, change = (
        sign_in(ada),
        *(reverse(f"protocols:{n}", args=[draft.public_id]) for n in ("plan", "plan_edit")),
    )

    def cost(volume_ml: str) -> tuple[int, int]:
        draft.refresh_from_db()
        sent = {"revision": draft.revision, "op": "set_volume", "ingredient": "biochanin_a", "volume_ml": volume_ml}
        return queries(client, change, **sent), queries(client, page)

    cost("1.25")  # documents and the built formulary are kept per process
    few = cost("1.20")
    Plan.objects.bulk_create(
        Plan(
            patient=factories.patient(by=ada, given_name=f"Nn{number}", email=""),
            intake=draft.intake,
            formulary=draft.formulary,
            number=1,
            version=1,
            status="draft",
            case=draft.case,
            policy={},
            engine_version=draft.engine_version,
            proposal=draft.proposal,
            result=draft.result,
            created_by=ada,
            responsible=ada,
        )
        for number in range(19)
    )
    assert cost("1.25") == few


def test_catalogue_costs_the_same_whatever_is_filtered(formulary: FormularyVersion, ada: User, sign_in) -> None:
    client, url = sign_in(ada), reverse("protocols:catalogue")
    queries(client, url)
    whole = queries(client, url)
    for filtered in ("?concern=androgenetic_alopecia", "?grade=C", "?class=peptide", "?status=off", "?q=biotin"):
        assert queries(client, url + filtered) == whole, filtered
