"""Days at the calendar's edges: refused in words wherever a day is taken, and no page falls over one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.core.fields import DayField
from patients.models import Patient
from sessions.models import Course

SignIn = Callable[[User], Client]
EDGES = ("0001-01-01", "2199-12-31", "9999-12-31")


def _forms() -> Iterator[type[forms.Form]]:
    for name in ("mesoclinic", "patients", "protocols", "sessions"):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if module.name.rsplit(".", 1)[1].endswith("forms"):
                found = vars(importlib.import_module(module.name)).values()
                yield from (each for each in found if inspect.isclass(each) and issubclass(each, forms.Form))


def _day_fields() -> Iterator[tuple[str, forms.DateField]]:
    for form in dict.fromkeys(_forms()):
        for name, field in getattr(form, "base_fields", {}).items():
            if isinstance(field, forms.DateField) and name != "birth_date":
                yield f"{form.__name__}.{name}", field


def test_every_field_that_takes_a_day_refuses_the_edges_in_words() -> None:
    fields = dict(_day_fields())
    assert len(fields) >= 5
    for name, field in fields.items():
        assert isinstance(field, DayField), f"{name} takes days that a week leads out of the calendar"
        for day in ("0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31"):
            with pytest.raises(ValidationError, match="Choose a day from 1900 to 2199"):
                field.clean(day)
        assert field.clean("2026-12-01") == date(2026, 12, 1)


def test_no_page_falls_over_a_day_at_the_edge(course: Course, ada: User, dora: User, sign_in: SignIn) -> None:
    client, director = sign_in(ada), sign_in(dora)
    visit = course.appointments.order_by("number")[0]
    move = reverse("sessions:appointment_move", args=[visit.public_id])
    for day in EDGES:
        asked: list[tuple[Client, str, dict[str, Any]]] = [
            (client, "/", {"on": day}),
            (client, f"/day/{day}/", {}),
            *((client, "/calendar/", {"view": view, "day": day}) for view in ("week", "month")),
            (client, reverse("sessions:calendar_free"), {"at": f"{day}T09:00", "day": day}),
            (client, move, {"day": day, "time": "09:00"}),
            (client, reverse("sessions:appointment_overbook", args=[visit.public_id]), {"day": day, "time": "09:00"}),
            (client, reverse("patients:list"), {"q": day}),
            (client, reverse("api-appointment-list"), {"from": day, "to": day}),
            (director, reverse("audit:list"), {"first_day": day, "last_day": day}),
        ]
        answers = {(url, *given): who.get(url, given).status_code for who, url, given in asked}
        assert set(answers.values()) <= {200, 302, 400, 404, 422}, (day, answers)


def test_no_form_falls_over_a_day_at_the_edge(course: Course, cleo: User, dora: User, sign_in: SignIn) -> None:
    visit, reception, director = course.appointments.order_by("number")[0], sign_in(cleo), sign_in(dora)
    born = {"given_name": "Noor", "family_name": "Zed", "sex_at_birth": "female", "language": "en"}
    move = reverse("sessions:appointment_move", args=[visit.public_id])
    status = reverse("sessions:appointment_status", args=[visit.public_id])
    resources = {
        "absence": reverse("resources:person", args=[dora.public_id]),
        "closure": reverse("resources:site", args=[visit.site.public_id]),
    }
    for day in ("0001-01-01", "9999-12-31"):
        refused = {"new": reception.post(reverse("patients:new"), born | {"birth_date": day}).status_code}
        refused["move"] = reception.post(move, {"day": day, "time": "09:00"}).status_code
        for what, url in resources.items():
            days = {f"{what}-{name}": day for name in ("first_day", "last_day", "first", "last")}
            page = director.post(url, {"what": what, **days})
            assert "Choose a day from 1900 to 2199." in page.content.decode(), what
            refused[what] = page.status_code
        assert set(refused.values()) <= {400, 409, 422}, (day, refused)
        assert reception.post(status, {"status": "booked", "day": day}).status_code < 500
    assert Patient.objects.filter(family_name="Zed").count() == 0
