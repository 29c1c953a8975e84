"""Tags, filters and includes: what they say, and that they escape what people typed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django import forms
from django.core.paginator import Paginator
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone, translation

EVIL = "<img src=x onerror=alert(1)>"
SAFE = "&lt;img src=x onerror=alert(1)&gt;"


def rendered(source: str, **context: Any) -> str:
    return Template(source).render(Context(context)).strip()


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ '1'|ml }}", "1.00\u00a0mL"),
        ("{{ '12.345'|ml }}", "12.34\u00a0mL"),
        ("{{ None|ml }}", ""),
        ("{{ 'x'|ml }}", ""),
        ("{{ '0.20'|quantity:'mg' }}", "0.20\u00a0mg"),
        ("{{ '50'|quantity:'mg' }}", "50\u00a0mg"),
        ("{{ '-0.5'|quantity:'mg' }}", "−0.5\u00a0mg"),
        ("{{ '1E+2'|quantity:'mg' }}", "100\u00a0mg"),
        ("{{ '1010'|money:'EUR' }}", "1,010.00\u00a0EUR"),
        ("{{ '7.5'|money:None }}", "7.50"),
        ("{{ 'Ada Moreau'|initials }}", "AM"),
        ("{{ 'Dr. Ada van Moreau'|initials }}", "AM"),
        ("{{ 'Cher'|initials }}", "C"),
        ("{{ ''|initials }}", ""),
        ("{{ '2026-11-24'|day }}", "24 Nov"),
        ("{{ '2026-11-24'|day:'year' }}", "24 Nov 2026"),
        ("{{ '2026-11-24'|day:'weekday' }}", "Tue 24 Nov"),
        ("{{ '2026-11-24'|day:'full' }}", "Tuesday 24 November 2026"),
        ("{{ 'soon'|day }}", ""),
    ],
)
def test_value_is_shown(source: str, shown: str) -> None:
    assert rendered(source) == shown


def test_values_follow_the_language() -> None:
    with translation.override("fr"):
        assert rendered("{{ '1.5'|ml }}") == "1,50\u00a0mL"


def test_instant_is_shown_in_the_page_zone() -> None:
    moment = datetime(2026, 11, 24, 23, 5, tzinfo=UTC)

    with timezone.override(ZoneInfo("Europe/Paris")):
        assert rendered("{{ at|day }} {{ at|clock }}", at=moment) == "25 Nov 00:05"


def test_day_takes_a_date() -> None:
    assert rendered("{{ on|day:'long' }}", on=date(2026, 11, 24)) == "Tuesday 24 November"


@pytest.mark.parametrize(
    "source",
    [
        "{% chip text 'warn' %}",
        "{% state 'ok' text %}",
        "{% note 'warn' title=text %}x{% endnote %}",
        "{% note %}{{ text }}{% endnote %}",
        "{% finding 'caution' 'Caution' title=text text='x' %}{% endfinding %}",
        "{% finding 'caution' text text=text because='x' %}{% endfinding %}",
        "{% finding 'caution' 'Caution' because=text %}{{ text }}{% endfinding %}",
        "{% grade 'B' text text %}",
        "{% severity 1 text %}",
        "{% progress 1 2 text %}",
        "{% dosebar '1' '0' '1' '2' unit=text %}",
        "{% scalp_map '' label=text %}",
        "{% syringe lines label=text %}",
        "{% include 'components/empty.html' with title=text text=text url='/x/' action=text only %}",
        "{% include 'components/toast.html' with text=text %}",
    ],
)
def test_what_people_typed_is_escaped(source: str) -> None:
    lines = [{"name": "X", "role": "active", "volume_ml": "1"}]

    html = rendered(source, text=EVIL, lines=lines)

    assert EVIL not in html
    assert SAFE in html


def test_grade_shows_letter_and_direction_together() -> None:
    html = rendered("{% grade 'A' 'no advantage' 'Randomised trial' %}")

    assert "</span>A</b><span>no advantage</span>" in html
    assert 'title="Randomised trial"' in html


def test_finding_holds_the_action_that_answers_it() -> None:
    html = rendered("{% finding 'caution' 'Caution' title='T' %}<button>Acknowledge</button>{% endfinding %}")

    assert '<div class="fd-a"><button>Acknowledge</button></div>' in html
    assert "Caution" in html


def test_finding_without_an_action_leaves_no_room_for_one() -> None:
    assert "fd-a" not in rendered("{% finding 'info' 'Note' text='x' %}  {% endfinding %}")


def test_icon_says_nothing_to_a_screen_reader() -> None:
    assert rendered("{% icon 'check' %}").startswith('<svg class="mc-i" viewBox="0 0 24 24" aria-hidden="true"><path')


class PatientForm(forms.Form):
    name = forms.CharField(label="Name", help_text="As on the passport")
    email = forms.EmailField(label="E-mail", required=False)
    sex = forms.ChoiceField(label="Sex", choices=[("f", "Female"), ("m", "Male")], widget=forms.RadioSelect)
    agreed = forms.BooleanField(label="Agreed", required=False)


FIELD = "{% include 'components/field.html' with field=field only %}"


def test_field_ties_error_and_help_to_the_input() -> None:
    form = PatientForm({"name": "", "email": "a@b.example", "sex": "f"})

    html = rendered(FIELD, field=form["name"])

    assert '<label for="id_name">Name</label>' in html
    assert 'aria-invalid="true"' in html
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert "This field is required." in html


def test_field_keeps_what_was_typed() -> None:
    form = PatientForm({"email": EVIL})

    html = rendered(FIELD, field=form["email"])

    assert f'value="{SAFE}"' in html
    assert "optional" in html


def test_choice_field_is_a_group_with_a_legend() -> None:
    html = rendered(FIELD, field=PatientForm()["sex"])

    assert html.count('type="radio"') == 2
    assert '<legend class="mc-lab">Sex</legend>' in html


def test_checkbox_stands_inside_its_label() -> None:
    html = rendered(FIELD, field=PatientForm()["agreed"])

    assert '<label class="mc-check" for="id_agreed"><input type="checkbox"' in html


def test_form_errors_link_to_the_fields() -> None:
    form = PatientForm({"email": "x"})
    form.is_valid()
    form.add_error(None, EVIL)

    html = rendered("{% include 'components/form_errors.html' with form=form only %}", form=form)

    assert SAFE in html
    assert '<a href="#id_name">Name</a>' in html
    assert '<a href="#id_email">E-mail</a>' in html


def test_form_without_errors_shows_none() -> None:
    assert rendered("{% include 'components/form_errors.html' with form=form only %}", form=PatientForm()) == ""


def test_pagination_keeps_the_filter() -> None:
    request = RequestFactory().get("/patients/", {"q": "a&b", "page": "2"})

    html = rendered("{% pagination page %}", page=Paginator(range(30), 10).page(2), request=request)

    assert 'href="?q=a%26b&amp;page=1"' in html
    assert 'href="?q=a%26b&amp;page=3"' in html
    assert "Page 2 of 3" in html


def test_single_page_has_no_pagination() -> None:
    request = RequestFactory().get("/")

    assert rendered("{% pagination page %}", page=Paginator(range(3), 10).page(1), request=request) == ""
