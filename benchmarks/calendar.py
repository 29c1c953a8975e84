"""A calendar week of twenty practitioners: queries, bytes and time, beside one bare query with one bare template."""

from __future__ import annotations

import gzip
from datetime import timedelta
from functools import partial
from statistics import median

from benchmarks._measuring import beside, sample_clinic, spread, times

PRACTITIONERS = 20
ROUNDS = 60


def main() -> None:
    with sample_clinic():
        from django.db import connection
        from django.template import engines
        from django.test import Client
        from django.test.utils import CaptureQueriesContext
        from django.urls import reverse
        from django.utils import timezone

        from mesoclinic.accounts.models import Site, User
        from sessions.calendar.grid import midnight
        from sessions.models import Appointment
        from tests.sessions import crowd

        site, lena = Site.objects.get(name="Lyon"), User.objects.get(given_name="Lena")
        today = timezone.now().astimezone(site.tz).date()
        monday = today + timedelta(days=7 - today.weekday())
        until = midnight(monday + timedelta(days=7), site.tz)
        client = Client()
        client.force_login(lena, backend="allauth.account.auth_backends.AuthenticationBackend")
        template = engines["django"].from_string(
            "{% for row in rows %}{{ row.starts_at }} {{ row.patient__family_name }}{% endfor %}"
        )

        def reference() -> None:
            rows = Appointment.objects.filter(site=site, starts_at__gte=midnight(monday, site.tz), starts_at__lt=until)
            template.render({"rows": list(rows.order_by("starts_at").values("starts_at", "patient__family_name"))})

        people, rooms = crowd.staff_of(site, practitioners=PRACTITIONERS)
        week = f"{reverse('sessions:calendar')}?view=week&day={monday}"
        for visits in (3, 300, 800):
            Appointment.objects.filter(practitioner__in=people).delete()
            crowd.week_of(monday, site=site, people=people, rooms=rooms, by=lena, visits=visits)
            print(f"{visits} visits of {PRACTITIONERS} practitioners in the week")
            bare = times(reference, rounds=ROUNDS)
            for view in ("week", "day", "month", "agenda"):
                path = week.replace("view=week", f"view={view}")
                client.get(path)
                with CaptureQueriesContext(connection) as queries:
                    page = client.get(path).content
                asked = len(queries)
                taken = times(partial(client.get, path), rounds=ROUNDS if view == "week" else ROUNDS // 4)
                size, packed = len(page) / 1024, len(gzip.compress(page, 6)) / 1024
                name = f"{view}: {asked} queries, {size:.0f} kB, {packed:.0f} packed"
                beside(name, median(taken) * 1000, "bare", median(bare) * 1000, unit="ms")
                if view == "week":
                    print(f"  {'':<40} {spread(taken)}   bare {spread(bare)}")
            asks = {"HX-Request": "true", "If-None-Match": client.get(week, headers={"HX-Request": "true"})["ETag"]}
            assert client.get(week, headers=asks).status_code == 304
            same = times(partial(client.get, week, headers=asks), rounds=ROUNDS // 4)
            beside("week: an update without news", median(same) * 1000, "bare", median(bare) * 1000, unit="ms")
        connection.close()


if __name__ == "__main__":
    main()
