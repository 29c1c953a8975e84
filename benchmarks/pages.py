"""The pages that people open most, through the whole middleware, beside the log-in page, which needs little."""

from __future__ import annotations

from functools import partial
from statistics import median

from benchmarks._measuring import beside, sample_clinic, times


def main() -> None:
    with sample_clinic():
        from django.db import connection
        from django.test import Client
        from django.test.utils import CaptureQueriesContext
        from django.urls import reverse

        from mesoclinic.accounts.models import User
        from protocols.models import Plan

        reference = median(times(partial(Client().get, reverse("account_login")), rounds=20)) * 1000
        client = Client()
        client.force_login(
            User.objects.get(given_name="Lena"), backend="allauth.account.auth_backends.AuthenticationBackend"
        )
        draft = Plan.objects.filter(status="draft").order_by("-pk").first()
        signed = Plan.objects.filter(status="active").order_by("pk").first()
        assert draft is not None
        assert signed is not None
        pages = {
            "Today": reverse("sessions:today"),
            "patients": reverse("patients:list"),
            "patient": reverse("sessions:patient", args=[signed.patient.public_id]),
            "plan, signed": reverse("protocols:plan", args=[signed.public_id]),
            "plan, draft": reverse("protocols:plan", args=[draft.public_id]),
            "formulary": reverse("protocols:catalogue"),
            "messages": reverse("messaging:list"),
        }
        for name, path in pages.items():
            with CaptureQueriesContext(connection) as queries:
                answer = client.get(path)
            asked = len(queries)  # now: the next request empties the log
            assert answer.status_code == 200, (name, answer.status_code)
            taken = median(times(partial(client.get, path), rounds=15)) * 1000
            size = len(answer.content) / 1024
            beside(f"{name}, {asked} queries, {size:.0f} kB", taken, "log-in page", reference, unit="ms")


if __name__ == "__main__":
    main()
