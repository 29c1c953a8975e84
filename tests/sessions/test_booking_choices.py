"""Choosing among the times that the planner offers: other times, any practitioner, a wish to give up."""

from __future__ import annotations

import re
from datetime import datetime

from django.urls import reverse

from sessions.models import Appointment
from tests.sessions import factories as make


def url_of(plan) -> str:
    return reverse("sessions:course_book", args=[plan.public_id])


def times_of(response) -> dict[str, list[str]]:
    """What each radio button of the page would send, the checked one first."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'name="(time-\d)" value="([^"]+)"', response.content.decode()):
        found.setdefault(name, []).append(value)
    return found


def wishes(ada) -> dict[str, str]:
    return {"practitioner": str(ada.public_id), "earliest": make.monday().isoformat()}


def test_each_session_is_offered_with_three_other_times(plan, ada, cleo, sign_in) -> None:
    page = sign_in(cleo).get(url_of(plan), wishes(ada))

    assert {name: len(values) for name, values in times_of(page).items()} == {f"time-{n}": 4 for n in range(1, 5)}


def test_other_time_is_booked_with_the_rest(plan, ada, cleo, lyon, sign_in) -> None:
    client = sign_in(cleo)
    offered = times_of(client.get(url_of(plan), wishes(ada)))
    sent = {name: values[0] for name, values in offered.items()} | {"time-3": offered["time-3"][2]}

    assert client.post(url_of(plan), wishes(ada) | sent).status_code == 302
    booked = dict(Appointment.objects.values_list("number", "starts_at"))
    assert booked == {int(name[-1]): datetime.fromisoformat(value.split(" ")[0]) for name, value in sent.items()}


def test_chosen_time_that_was_taken_meanwhile_books_nothing(plan, ada, cleo, lyon, sign_in) -> None:
    client = sign_in(cleo)
    offered = times_of(client.get(url_of(plan), wishes(ada)))
    other = make.plan(patient=make.patient(by=cleo, given_name="Amelia"), by=ada)
    sent = {name: values[0] for name, values in offered.items()}
    assert client.post(url_of(other), wishes(ada) | sent).status_code == 302

    refused = client.post(url_of(plan), wishes(ada) | sent)
    assert refused.status_code == 409
    assert "The times have changed since you saw them" in refused.content.decode()
    assert Appointment.objects.filter(course__plan=plan).count() == 0


def test_chosen_time_outside_the_gaps_is_refused_with_the_window(plan, ada, cleo, lyon, sign_in) -> None:
    client = sign_in(cleo)
    sent = {name: values[0] for name, values in times_of(client.get(url_of(plan), wishes(ada))).items()}
    _at, rest = sent["time-2"].split(" ", 1)
    sent["time-2"] = f"{sent['time-1'].split(' ')[0]} {rest}"

    refused = client.post(url_of(plan), wishes(ada) | sent)
    assert refused.status_code == 400
    assert "Sessions 1 and 2 would lie 0 days apart" in refused.content.decode()
    assert Appointment.objects.count() == 0


def test_any_practitioner_gives_a_series_with_whoever_is_free(plan, ada, dora, cleo, lyon, sign_in) -> None:
    make.hours(practitioner=dora, site=lyon, weekdays=(5,))
    given = {"practitioner": "", "earliest": make.monday().isoformat(), "weekdays": ["5"]}
    page = sign_in(cleo).get(url_of(plan), given)

    assert dora.name in page.content.decode()
    assert {value.split(" ")[1] for values in times_of(page).values() for value in values} == {str(dora.pk)}


def test_refused_wish_comes_with_the_one_to_give_up_as_one_click(plan, ada, cleo, sign_in) -> None:
    client = sign_in(cleo)
    page = client.get(url_of(plan), wishes(ada) | {"weekdays": ["6"], "not_before": "10:00"})
    html = page.content.decode()
    assert "It fits with any weekday: from" in html

    link = re.search(r'href="\?([^"]+)">.*?Show these times', html, flags=re.S)
    assert link
    again = client.get(url_of(plan) + "?" + link.group(1).replace("&amp;", "&"))
    starts = {datetime.fromisoformat(v.split(" ")[0]) for values in times_of(again).values() for v in values[:1]}
    assert {at.astimezone(plan.patient.site.tz).strftime("%H:%M") for at in starts} == {"10:00"}
