"""Sites and people: hours, closures, holidays, absences, abilities, and the minutes around a visit."""

from __future__ import annotations

import html
import random
import re
from datetime import date, datetime, time, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.changes import NeedsConfirmation
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import DomainError, InvalidInput, NotAllowed
from protocols.models import FormularyEntry, FormularyVersion, Ingredient, Plan
from sessions.booking.actions import book_appointment, book_course
from sessions.booking.move import Target, move_appointment, suggestions
from sessions.course.abilities import PRESCRIPTION_ONLY, demands_of, in_words, lacking, prescription_keys, serves
from sessions.models import Appointment, Closure, Course, Room, WorkingHours
from sessions.models.hours import Absence, OpenedHoliday
from sessions.planner import Hours
from sessions.sites import actions
from sessions.sites.availability import Turnover, availability_of, closed_days, turnover_of
from sessions.sites.public_holidays import holidays_of
from sessions.sites.queries import closures_from, misfit_count, misfits
from sessions.sites.words import not_open
from tests import factories
from tests.sessions import crowd
from tests.sessions import factories as make
from tests.shown import as_typed, seen_on


def at(day: date, wall: str, site: Site) -> datetime:
    return datetime.combine(day, time.fromisoformat(wall), tzinfo=site.tz)


def walls(visits: list[Appointment]) -> list[str]:
    return [f"{visit.starts_at.astimezone(visit.site.tz):%H:%M}" for visit in visits]


def first_visit(plan: Plan, *, by: User, site: Site, who: User) -> Appointment:
    course = book_course(plan=plan, site=site, practitioner=who, earliest=make.monday(), by=by)
    return course.appointments.get(number=1)


def book_at(plan: Plan, starts_at: datetime, *, by: User, who: User, room: Room) -> Appointment:
    return book_appointment(
        plan=plan, number=1, site=room.site, practitioner=who, room=room, starts_at=starts_at, by=by
    )


# ------------------------------------------------------------------ opening hours


def test_opening_hours_bound_what_is_offered_and_what_is_booked(
    plan: Plan, ada: User, cleo: User, dora: User, lyon: Site, rooms: list[Room]
) -> None:
    actions.set_opening_hours(site=lyon, blocks=[Hours(day, time(10, 30), time(16)) for day in range(5)], by=dora)

    visit = first_visit(plan, by=cleo, site=lyon, who=ada)

    assert walls([visit]) == ["10:30"]
    other = make.plan(patient=make.patient(by=cleo, site=lyon, given_name="Ida"), by=ada)
    with pytest.raises(InvalidInput, match="is not open from 09:00 to 09:38"):
        book_at(other, at(make.monday(), "09:00", lyon), by=cleo, who=ada, room=rooms[0])


def test_opening_hours_that_overlap_are_refused(lyon: Site, dora: User) -> None:
    with pytest.raises(InvalidInput, match="overlap"):
        actions.set_opening_hours(
            site=lyon, blocks=[Hours(0, time(9), time(12)), Hours(0, time(11), time(14))], by=dora
        )
    with pytest.raises(InvalidInput, match="end after they start"):
        actions.set_opening_hours(site=lyon, blocks=[Hours(0, time(12), time(9))], by=dora)


# ------------------------------------------------------------------ closures and public holidays


def test_closure_of_several_days_is_one_in_the_list_and_can_be_taken_back(lyon: Site, dora: User) -> None:
    monday = make.monday()

    assert actions.close_site(site=lyon, first=monday, last=monday + timedelta(days=4), reason=" Works ", by=dora) == 5
    assert [(span.first, span.last, span.reason) for span in closures_from(lyon, since=monday)] == [
        (monday, monday + timedelta(days=4), "Works")
    ]
    actions.reopen_site(site=lyon, first=monday + timedelta(days=1), last=monday + timedelta(days=1), by=dora)
    assert [(span.first, span.last) for span in closures_from(lyon, since=monday)] == [
        (monday, monday),
        (monday + timedelta(days=2), monday + timedelta(days=4)),
    ]
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == ["site.closed", "site.reopened"]


@pytest.mark.parametrize(
    ("days", "reason", "field"), [(-1, "Works", "last"), (366, "Works", "last"), (0, "  ", "reason")]
)
def test_closure_is_refused(lyon: Site, dora: User, days: int, reason: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        actions.close_site(
            site=lyon, first=make.monday(), last=make.monday() + timedelta(days=days), reason=reason, by=dora
        )
    assert (refusal.value.field, Closure.objects.count()) == (field, 0)


def test_public_holiday_closes_the_site_until_the_clinic_opens_it(lyon: Site, dora: User) -> None:
    since = date(2027, 12, 1)
    assert closed_days(lyon, since=since) == {}
    actions.set_holidays(site=lyon, country="FR", region="", by=dora)

    assert closed_days(lyon, since=since)[date(2027, 12, 25)] == "Christmas Day"
    assert date(2027, 12, 26) not in closed_days(lyon, since=since)
    actions.open_on_holiday(site=lyon, day=date(2027, 12, 25), opened=True, by=dora)
    assert date(2027, 12, 25) not in closed_days(lyon, since=since)
    actions.close_site(site=lyon, first=date(2027, 12, 25), last=date(2027, 12, 25), reason="Works", by=dora)
    assert closed_days(lyon, since=since)[date(2027, 12, 25)] == "Works"
    actions.open_on_holiday(site=lyon, day=date(2027, 12, 25), opened=False, by=dora)
    assert OpenedHoliday.objects.count() == 0


def test_region_has_its_own_holidays(lyon: Site, dora: User) -> None:
    actions.set_holidays(site=lyon, country="FR", region="57", by=dora)
    assert date(2027, 12, 26) in closed_days(lyon, since=date(2027, 12, 1))
    for country, region, field in (("ZZ", "", "country"), ("FR", "Moon", "region")):
        with pytest.raises(InvalidInput) as refusal:
            actions.set_holidays(site=lyon, country=country, region=region, by=dora)
        assert refusal.value.field == field


def test_only_a_holiday_can_be_opened(lyon: Site, dora: User) -> None:
    actions.set_holidays(site=lyon, country="FR", region="", by=dora)
    with pytest.raises(InvalidInput, match="no public holiday"):
        actions.open_on_holiday(site=lyon, day=date(2027, 12, 24), opened=True, by=dora)


@pytest.mark.parametrize("country", ["", "ZZ"])
def test_no_country_has_no_holidays(country: str) -> None:
    assert holidays_of(country, "", [2027]) == {}


def test_planner_goes_round_a_holiday(
    plan: Plan, ada: User, cleo: User, dora: User, lyon: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monday = make.monday()
    actions.set_holidays(site=lyon, country="FR", region="", by=dora)
    monkeypatch.setattr("sessions.sites.availability.holidays_of", lambda *given: {monday: "All Sorts’ Day"})

    visit = first_visit(plan, by=cleo, site=lyon, who=ada)

    assert visit.starts_at.astimezone(lyon.tz).date() == monday + timedelta(days=1)


# ------------------------------------------------------------------ absences


def test_absence_is_planned_around_and_refused_in_words(
    plan: Plan, ada: User, cleo: User, dora: User, lyon: Site, rooms: list[Room]
) -> None:
    monday = make.monday()
    actions.add_absence(person=ada, first_day=monday, last_day=monday + timedelta(days=2), kind="leave", by=dora)

    with pytest.raises(InvalidInput, match=r"Dr Ada Moreau is not there on .* at this time: On leave"):
        book_at(plan, at(monday, "10:00", lyon), by=cleo, who=ada, room=rooms[0])
    visit = first_visit(plan, by=cleo, site=lyon, who=ada)
    assert visit.starts_at.astimezone(lyon.tz).date() == monday + timedelta(days=3)


def test_absence_of_some_hours_leaves_the_rest_of_the_day(
    plan: Plan, ada: User, cleo: User, dora: User, lyon: Site
) -> None:
    actions.add_absence(
        person=ada,
        first_day=make.monday(),
        last_day=make.monday(),
        starts=time(9),
        ends=time(13, 30),
        kind="training",
        by=dora,
    )

    assert walls([first_visit(plan, by=cleo, site=lyon, who=ada)]) == ["13:30"]


def test_absence_at_another_site_changes_nothing_here(
    plan: Plan, ada: User, cleo: User, dora: User, lyon: Site
) -> None:
    nantes = factories.site(name="Nantes")
    Absence.objects.create(
        person=ada, site=nantes, first_day=make.monday(), last_day=make.monday(), kind="leave", created_by=dora
    )

    assert walls([first_visit(plan, by=cleo, site=lyon, who=ada)]) == ["09:00"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"last_day": date(2030, 1, 1)}, "last_day"),
        ({"starts": time(9)}, "ends"),
        ({"ends": time(9)}, "starts"),
        ({"starts": time(9), "ends": time(9)}, "ends"),
        ({"starts": time(9), "ends": time(12), "last_day": date(2030, 1, 3)}, "starts"),
        ({"kind": "sick"}, "kind"),
    ],
)
def test_absence_is_refused(ada: User, dora: User, given: dict[str, object], field: str) -> None:
    day = date(2030, 1, 2)
    with pytest.raises(InvalidInput) as refusal:
        actions.add_absence(**{"person": ada, "first_day": day, "last_day": day, "kind": "leave", "by": dora, **given})  # type: ignore[arg-type]
    assert (refusal.value.field, Absence.objects.count()) == (field, 0)


# ------------------------------------------------------------------ preparation and clean-up


def test_minutes_around_a_visit_block_practitioner_and_room_but_not_the_patient(
    plan: Plan, ada: User, cleo: User, dora: User, lyon: Site, rooms: list[Room]
) -> None:
    actions.set_turnover(site=lyon, usual=Turnover(prepare=5, cleanup=10), of_techniques={}, by=dora)
    monday = make.monday()

    visit = first_visit(plan, by=cleo, site=lyon, who=ada)

    # 09:00 is when the work begins: the first visit starts on the next quarter, its preparation inside the hours.
    assert walls([visit]) == ["09:15"]
    assert (visit.ends_at - visit.starts_at, visit.prepare_minutes, visit.cleanup_minutes) == (
        timedelta(minutes=38),
        5,
        10,
    )
    other = make.plan(patient=make.patient(by=cleo, site=lyon, given_name="Ida"), by=ada)
    with pytest.raises(DomainError, match=r"taken around .* preparation and clean-up"):
        book_at(other, at(monday, "10:00", lyon), by=cleo, who=ada, room=rooms[1])  # 09:53 + 10 + 5 is 10:08
    assert walls([book_at(other, at(monday, "10:08", lyon), by=cleo, who=ada, room=rooms[0])]) == ["10:08"]


def test_next_visit_is_offered_after_clean_up_and_preparation(
    plan: Plan, ada: User, cleo: User, dora: User, lyon: Site
) -> None:
    first_visit(plan, by=cleo, site=lyon, who=ada)  # 09:00 to 09:38, before there were any minutes
    actions.set_turnover(site=lyon, usual=Turnover(prepare=5, cleanup=10), of_techniques={}, by=dora)
    other = make.plan(patient=make.patient(by=cleo, site=lyon, given_name="Ida"), by=ada)

    assert walls([first_visit(other, by=cleo, site=lyon, who=ada)]) == ["09:45"]  # 09:38 + 5: the next quarter


def test_technique_with_its_own_minutes_wins_over_the_sites(lyon: Site, dora: User) -> None:
    assert turnover_of(lyon, "nappage") == Turnover(prepare=0, cleanup=0)
    actions.set_turnover(
        site=lyon,
        usual=Turnover(prepare=5, cleanup=10),
        of_techniques={"nappage": Turnover(prepare=8, cleanup=0)},
        by=dora,
    )

    assert turnover_of(lyon, "nappage") == Turnover(prepare=8, cleanup=0)
    assert turnover_of(lyon, "point_by_point") == Turnover(prepare=5, cleanup=10)
    with pytest.raises(InvalidInput, match="no technique"):
        actions.set_turnover(site=lyon, usual=Turnover(), of_techniques={"mesogun": Turnover()}, by=dora)


def test_moved_visit_takes_the_minutes_of_today(
    course: Course, ada: User, cleo: User, dora: User, lyon: Site, rooms: list[Room]
) -> None:
    actions.set_turnover(site=lyon, usual=Turnover(prepare=5, cleanup=10), of_techniques={}, by=dora)
    visit = course.appointments.get(number=1)
    target = Target(starts_at=at(make.monday(), "14:00", lyon), practitioner=ada, room=rooms[0])

    moved = move_appointment(appointment=visit, target=target, rest="keep", by=cleo)

    assert [(visit.number, visit.prepare_minutes, visit.cleanup_minutes) for visit in moved] == [(1, 5, 10)]
    assert sorted(set(course.appointments.exclude(number=1).values_list("prepare_minutes", flat=True))) == [0]


# ------------------------------------------------------------------ who may do what, and which room is for what


def test_person_without_the_technique_is_not_offered_and_refused(
    plan: Plan, ada: User, cleo: User, dora: User, lyon: Site, rooms: list[Room]
) -> None:
    eve = factories.user(given_name="Eve", family_name="Aubry", sites=[lyon])
    make.hours(practitioner=eve, site=lyon, starts=time(8))
    actions.set_abilities(person=eve, site=lyon, codes=["technique:point_by_point"], by=dora)

    course = book_course(plan=plan, site=lyon, practitioner=None, earliest=make.monday(), by=cleo)

    assert {visit.practitioner_id for visit in course.appointments.all()} == {ada.pk}
    other = make.plan(patient=make.patient(by=cleo, site=lyon, given_name="Ida"), by=ada)
    with pytest.raises(InvalidInput, match="Eve Aubry does not do this at Lyon: Nappage") as refusal:
        book_course(plan=other, site=lyon, practitioner=eve, earliest=make.monday(), by=cleo)
    assert refusal.value.field == "practitioner"
    with pytest.raises(InvalidInput, match="does not do this"):
        book_at(other, at(make.monday(), "14:00", lyon), by=cleo, who=eve, room=rooms[0])


def test_prescription_only_is_what_the_formulary_of_the_plan_says(plan: Plan, ada: User) -> None:
    draft = FormularyVersion.objects.create(label="draft", documents={}, sha256="1" * 64)
    FormularyEntry.objects.create(
        version=draft,
        ingredient=Ingredient.objects.get(key="biotin"),
        ingredient_class="vitamin",
        role="active",
        prescription_only=True,
        is_active=True,
        confirmation_required=False,
    )

    assert prescription_keys([draft.pk, plan.formulary_id]) == {draft.pk: {"biotin"}, plan.formulary_id: frozenset()}
    assert demands_of(plan) == {"technique:nappage"}
    assert demands_of(plan, {plan.formulary_id: frozenset({"biotin"})}) == {"technique:nappage", PRESCRIPTION_ONLY}


def test_prescription_only_is_for_who_may_sign_plans_unless_it_is_written_down(
    plan: Plan,
    ada: User,
    ben: User,
    cleo: User,
    dora: User,
    lyon: Site,
    rooms: list[Room],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make.hours(practitioner=ben, site=lyon)
    monkeypatch.setattr("sessions.course.abilities.prescription_keys", lambda keys: {key: {"biotin"} for key in keys})
    monday = at(make.monday(), "14:00", lyon)

    with pytest.raises(InvalidInput, match="Ben Okafor does not do this at Lyon: Prescription-only ingredients"):
        book_at(plan, monday, by=cleo, who=ben, room=rooms[0])
    actions.set_abilities(person=ben, site=lyon, codes=["technique:nappage", PRESCRIPTION_ONLY], by=dora)
    assert book_at(plan, monday, by=cleo, who=ben, room=rooms[0]).practitioner == ben


def test_room_serves_what_it_is_for(
    plan: Plan, ada: User, cleo: User, dora: User, lyon: Site, rooms: list[Room]
) -> None:
    actions.change_room(room=rooms[0], name="Room 1", is_active=True, serves=["technique:point_by_point"], by=dora)

    with pytest.raises(InvalidInput, match="Room 1 is not used for what this plan asks for"):
        book_at(plan, at(make.monday(), "14:00", lyon), by=cleo, who=ada, room=rooms[0])
    assert first_visit(plan, by=cleo, site=lyon, who=ada).room == rooms[1]


def test_room_for_everything_stays_so_when_a_technique_is_added(lyon: Site, dora: User) -> None:
    room = actions.add_room(
        site=lyon, name="Room 3", serves=["technique:point_by_point", "technique:nappage", "unknown"], by=dora
    )
    assert room.serves == []


def test_room_name_is_used_once_at_a_site(lyon: Site, dora: User, rooms: list[Room]) -> None:
    for name in ("Room 1", "  "):
        with pytest.raises(InvalidInput) as refusal:
            actions.add_room(site=lyon, name=name, serves=[], by=dora)
        assert refusal.value.field == "name"


def test_nobody_works_at_two_sites_of_one_zone_at_once(ada: User, dora: User, lyon: Site) -> None:
    nantes = factories.site(name="Nantes")
    for who in (ada, dora):
        who.sites.add(nantes)
        who.__dict__.pop("site_ids", None)
    make.hours(practitioner=ada, site=lyon, weekdays=(0,))

    with pytest.raises(InvalidInput, match="On Monday from 09:00 to 17:00 Dr Ada Moreau works at Lyon"):
        actions.set_working_hours(person=ada, site=nantes, blocks=[Hours(0, time(16), time(19))], by=dora)
    actions.set_working_hours(person=ada, site=nantes, blocks=[Hours(0, time(17), time(19))], by=dora)
    assert WorkingHours.objects.filter(practitioner=ada).count() == 2


# ------------------------------------------------------------------ what no longer fits


def test_closure_lists_what_falls_into_it_and_cancels_nothing(
    course: Course, ada: User, cleo: User, dora: User, lyon: Site
) -> None:
    visit = course.appointments.get(number=2)
    day = visit.starts_at.astimezone(lyon.tz).date()
    assert misfits(site=lyon, user=dora, now=timezone.now()) == []

    with pytest.raises(NeedsConfirmation, match="1 visit is booked"):
        actions.close_site(site=lyon, first=day, last=day, reason="Works", by=dora)
    actions.close_site(site=lyon, first=day, last=day, reason="Works", by=dora, confirmed=True)

    found = misfits(site=lyon, user=dora, now=timezone.now())
    assert [entry.visit.number for entry in found] == [2]
    assert "is closed on" in found[0].why and "Works" in found[0].why
    visit.refresh_from_db()
    assert visit.status == "booked"


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        ("absence", "On leave"),
        ("hours", "does not work at Lyon"),
        ("site_hours", "is not open"),
        ("room", "Room 1 is not in use"),
        ("serves", "Room 1 is not used for"),
        ("abilities", "does not do this at Lyon"),
    ],
)
def test_each_change_lists_the_visits_it_concerns(
    course: Course, ada: User, dora: User, lyon: Site, rooms: list[Room], cause: str, why: str
) -> None:
    day = course.appointments.get(number=1).starts_at.astimezone(lyon.tz).date()
    if cause == "absence":
        actions.add_absence(person=ada, first_day=day, last_day=day, kind="leave", by=dora)
    elif cause == "hours":
        actions.set_working_hours(person=ada, site=lyon, blocks=[], by=dora)
    elif cause == "site_hours":
        actions.set_opening_hours(site=lyon, blocks=[Hours(6, time(9), time(10))], by=dora)
    elif cause == "room":
        actions.change_room(room=rooms[0], name="Room 1", is_active=False, serves=[], by=dora, confirmed=True)
    elif cause == "serves":
        actions.change_room(room=rooms[0], name="Room 1", is_active=True, serves=["technique:point_by_point"], by=dora)
    else:
        actions.set_abilities(person=ada, site=lyon, codes=[], by=dora)

    found = misfits(site=lyon, user=dora, now=timezone.now())

    assert len(found) == (1 if cause == "absence" else 4)
    assert {why in entry.why for entry in found} == {True}


def test_misfits_cost_a_fixed_number_of_queries(
    course: Course, ada: User, cleo: User, dora: User, lyon: Site, django_assert_num_queries
) -> None:
    make.hours(practitioner=cleo, site=lyon)
    dora.permissions, dora.site_ids  # noqa: B018 - read once per request
    actions.set_opening_hours(site=lyon, blocks=[Hours(6, time(9), time(10))], by=dora)
    misfits(site=lyon, user=dora, now=timezone.now())  # the formulary's documents are kept per process
    with django_assert_num_queries(13):
        assert len(misfits(site=lyon, user=dora, now=timezone.now())) == 4
    other = make.plan(patient=make.patient(by=cleo, site=lyon, given_name="Ida"), by=ada)
    visit = course.appointments.get(number=1)
    mine = Course.objects.create(plan=other, booked_at=visit.created_at, booked_by=cleo)
    visit.pk, visit.public_id, visit.course, visit.patient = None, other.public_id, mine, other.patient
    visit.starts_at, visit.ends_at = visit.starts_at + timedelta(hours=4), visit.ends_at + timedelta(hours=4)
    visit._state.adding = True
    visit.save()
    with django_assert_num_queries(13):
        assert len(misfits(site=lyon, user=dora, now=timezone.now())) == 5
    with django_assert_num_queries(12):
        assert misfit_count(site=lyon, user=dora, now=timezone.now()) == 5


def why_not_slowly(visit: Appointment, *, site: Site, user: User) -> str:
    """The same question put to one visit alone, with everything read anew."""
    who, room = visit.practitioner, visit.room
    known = availability_of(site, people=[who.pk], since=timezone.now().astimezone(site.tz).date())
    turnover = Turnover(prepare=visit.prepare_minutes, cleanup=visit.cleanup_minutes)
    if obstacle := known.obstacle(visit.starts_at, visit.ends_at, person=who.pk, turnover=turnover):
        return not_open(obstacle, starts_at=visit.starts_at, ends_at=visit.ends_at, who=who, site=site)
    asked = demands_of(visit.course.plan)
    if not room.is_active:
        return f"{room} is not in use."
    if not serves(room, asked):
        return f"{room} is not used for what this plan asks for."
    if missing := lacking([who], site=site, demands=asked)[who.pk]:
        return f"{who} does not do this at {site}: {in_words(sorted(missing))}."
    return ""


@pytest.mark.parametrize("seed", range(2))
def test_misfits_of_a_random_crowd_are_those_found_one_by_one(
    seed: int, ada: User, cleo: User, dora: User, lyon: Site
) -> None:
    chance = random.Random(seed)
    people, rooms = crowd.staff_of(lyon, practitioners=4)
    visits = crowd.week_of(make.monday(), site=lyon, people=people, rooms=rooms, by=cleo, visits=70)
    Appointment.objects.filter(pk__in=[visit.pk for visit in chance.sample(visits, 20)]).update(
        prepare_minutes=5, cleanup_minutes=5
    )
    days = sorted({visit.starts_at.astimezone(lyon.tz).date() for visit in visits})
    actions.set_opening_hours(
        site=lyon,
        blocks=[Hours(day, time(9), time(12)) for day in range(5)] + [Hours(day, time(13), time(15)) for day in (0, 2)],
        by=dora,
    )
    actions.close_site(site=lyon, first=days[seed], last=days[seed], reason="Works", by=dora, confirmed=True)
    actions.add_absence(person=people[0], first_day=days[0], last_day=chance.choice(days), kind="leave", by=dora)
    actions.set_working_hours(person=people[1], site=lyon, blocks=[Hours(0, time(9, 30), time(11))], by=dora)
    technique = chance.choice(["technique:point_by_point", "technique:nappage"])
    actions.change_room(room=rooms[2], name=rooms[2].name, is_active=True, serves=[technique], by=dora)
    in_use = chance.random() < 0.5
    actions.change_room(room=rooms[3], name=rooms[3].name, is_active=in_use, serves=[], by=dora, confirmed=True)
    actions.set_abilities(person=people[3], site=lyon, codes=[technique], by=dora)

    booked = Appointment.objects.order_by("starts_at", "pk")
    slowly = {visit.pk: why for visit in booked if (why := why_not_slowly(visit, site=lyon, user=dora))}
    found = misfits(site=lyon, user=dora, now=timezone.now())

    assert {entry.visit.pk: entry.why for entry in found} == slowly
    assert [entry.visit.starts_at for entry in found] == sorted(entry.visit.starts_at for entry in found)
    assert misfit_count(site=lyon, user=dora, now=timezone.now()) == len(slowly)
    assert 0 < len(slowly) < 70


def test_suggestions_leave_out_days_away(course: Course, ada: User, dora: User, lyon: Site) -> None:
    visit = course.appointments.get(number=2)
    free = suggestions(visit, now=timezone.now())
    first = free[0].day
    actions.add_absence(person=ada, first_day=first, last_day=first, kind="leave", by=dora)

    assert first not in {slot.day for slot in suggestions(visit, now=timezone.now())}


def test_availability_is_read_in_a_fixed_number_of_queries(
    ada: User, ben: User, dora: User, lyon: Site, django_assert_num_queries
) -> None:
    make.hours(practitioner=ada, site=lyon)
    actions.set_holidays(site=lyon, country="FR", region="", by=dora)
    for people in ([ada.pk], [ada.pk, ben.pk, dora.pk]):
        with django_assert_num_queries(6):
            availability_of(lyon, people=people, since=make.monday())


# ------------------------------------------------------------------ who may change it


def test_only_the_director_of_the_site_changes_it(ada: User, cleo: User, dan: User, dora: User, lyon: Site) -> None:
    for who in (ada, cleo):
        with pytest.raises(NotAllowed):
            actions.set_opening_hours(site=lyon, blocks=[], by=who)
    elsewhere = factories.user(given_name="Eli", roles=["director"], sites=list(dan.sites.all()))
    with pytest.raises(NotAllowed):
        actions.close_site(site=lyon, first=make.monday(), last=make.monday(), reason="x", by=elsewhere)
    with pytest.raises(NotAllowed):
        actions.add_absence(person=ada, first_day=make.monday(), last_day=make.monday(), kind="leave", by=elsewhere)


# ------------------------------------------------------------------ the pages


def text_of(answer) -> str:
    return html.unescape(answer.content.decode())


@pytest.fixture
def site_page(lyon: Site) -> str:
    return reverse("resources:site", args=[lyon.public_id])


@pytest.fixture
def ada_page(ada: User) -> str:
    return reverse("resources:person", args=[ada.public_id])


def test_lists_name_sites_and_people_of_ones_own_sites_only(sign_in, ada: User, dan: User, dora: User) -> None:
    sites = text_of(sign_in(dora).get(reverse("resources:sites")))
    people = text_of(sign_in(dora).get(reverse("resources:people")))

    assert ("Lyon" in sites, "New York" in sites) == (True, False)
    assert ("Dr Ada Moreau" in people, "Ruiz" in people) == (True, False)
    assert sign_in(dora).get(reverse("resources:person", args=[dan.public_id])).status_code == 404
    assert sign_in(dora).get(reverse("resources:site", args=[dan.sites.get().public_id])).status_code == 404


def test_site_page_is_empty_before_anything_is_set(sign_in, dora: User, site_page: str) -> None:
    shown = text_of(sign_in(dora).get(site_page))

    assert "No room yet" in shown and "No public holidays are kept" in shown
    assert "no closures of its own ahead" in shown


def test_opening_hours_are_saved_from_the_page_and_shown_again(sign_in, dora: User, lyon: Site, site_page: str) -> None:
    client = sign_in(dora)
    answer = client.post(
        site_page,
        {
            "what": "hours",
            "hours-0-0-from": "08:30",
            "hours-0-0-until": "12:30",
            "hours-0-1-from": "13:30",
            "hours-0-1-until": "19:00",
        }
        | seen_on(client, site_page),
    )

    assert (answer.status_code, answer["Location"]) == (302, f"{site_page}#hours")
    rows = list(lyon.opening_hours.values_list("weekday", "starts", "ends"))
    assert rows == [(0, time(8, 30), time(12, 30)), (0, time(13, 30), time(19))]
    shown = text_of(client.get(site_page))
    assert 'name="hours-0-1-until" value="19:00"' in shown


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"hours-0-0-from": "08:30"}, "Give both hours, or neither."),
        ({"hours-0-0-from": "18:30", "hours-0-0-until": "12:30"}, "Hours end after they start."),
        (
            {
                "hours-0-0-from": "08:30",
                "hours-0-0-until": "12:30",
                "hours-0-1-from": "12:00",
                "hours-0-1-until": "14:00",
            },
            "This begins before the block before it ends.",
        ),
        ({"hours-0-0-from": "noon", "hours-0-0-until": "14:00"}, "Enter a valid time."),
    ],
)
def test_hours_that_make_no_sense_come_back_with_what_was_typed(
    sign_in, dora: User, lyon: Site, site_page: str, given: dict[str, str], told: str
) -> None:
    answer = sign_in(dora).post(site_page, {"what": "hours", **given})

    assert (answer.status_code, lyon.opening_hours.count()) == (400, 0)
    shown = text_of(answer)
    assert told in shown
    assert all(f'value="{typed}"' in shown for typed in given.values())


def test_closure_room_holidays_and_minutes_are_saved_from_the_page(
    sign_in, dora: User, lyon: Site, site_page: str
) -> None:
    client, monday = sign_in(dora), make.monday()
    sent = [
        {"what": "closure", "closure-first": monday.isoformat(), "closure-reason": "Works"},
        {"what": "room", "room-name": "Room 9", "room-serves": ["technique:nappage"]},
        {"what": "holidays", "holidays-country": "FR", "holidays-region": ""},
        {"what": "minutes", "minutes-prepare": "5", "minutes-cleanup": "10", "minutes-prepare-nappage": "8"}
        | {"minutes-cleanup-nappage": "0"},
    ]

    assert [client.post(site_page, given | seen_on(client, site_page)).status_code for given in sent] == [
        302,
        302,
        302,
        302,
    ]
    assert list(Closure.objects.values_list("day", "reason")) == [(monday, "Works")]
    assert list(Room.objects.values_list("name", "serves")) == [("Room 9", ["technique:nappage"])]
    assert (lyon.rules.country, turnover_of(lyon, "nappage")) == ("FR", Turnover(prepare=8, cleanup=0))
    shown = text_of(client.get(site_page))
    assert "Works" in shown and "Room 9" in shown and "holidays in the coming year" in shown
    assert (
        client.post(site_page, {"what": "reopen", "first": monday.isoformat(), "last": monday.isoformat()}).status_code
        == 302
    )
    assert Closure.objects.count() == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"what": "closure", "closure-first": "2027-05-04", "closure-last": "2027-05-01", "closure-reason": "x"},
            "The last day comes before the first.",
        ),
        ({"what": "closure", "closure-first": "2027-05-04"}, "This field is required."),
        ({"what": "closure", "closure-first": "0004-05-04", "closure-reason": "x"}, "Choose a day from 1900 to 2199."),
        ({"what": "room", "room-name": "Room 1"}, "Lyon has a room of this name."),
        ({"what": "minutes", "minutes-prepare": "5", "minutes-cleanup": "61"}, "less than or equal to 60"),
        (
            {"what": "minutes", "minutes-prepare": "5", "minutes-cleanup": "5", "minutes-prepare-nappage": "3"},
            "Give both, or neither for the usual minutes.",
        ),
        ({"what": "holidays", "holidays-country": "ZZ"}, "Select a valid choice."),
        ({"what": "reopen", "first": "tomorrow"}, "Choose a button from the page."),
        (
            {"what": "holiday", "first": "2027-05-04", "last": "2027-05-04", "opened": "yes"},
            "This day is no public holiday here.",
        ),
        ({"what": "nonsense"}, "Choose a button from the page."),
        ({}, "Choose a button from the page."),
    ],
)
def test_site_page_refuses_in_place(
    sign_in, dora: User, rooms: list[Room], site_page: str, given: dict[str, str], told: str
) -> None:
    client = sign_in(dora)
    answer = client.post(site_page, given | seen_on(client, site_page))

    assert answer.status_code == 400
    assert told in text_of(answer)


def test_another_country_forgets_the_region_of_the_old_one(sign_in, dora: User, lyon: Site, site_page: str) -> None:
    actions.set_holidays(site=lyon, country="FR", region="57", by=dora)

    client = sign_in(dora)
    typed = {"what": "holidays", "holidays-country": "DE", "holidays-region": "57"} | seen_on(client, site_page)
    answer = client.post(site_page, typed)

    assert answer.status_code == 302
    lyon.rules.refresh_from_db()
    assert (lyon.rules.country, lyon.rules.region) == ("DE", "")


def test_room_is_taken_out_of_use_from_the_page(
    sign_in, course: Course, dora: User, rooms: list[Room], site_page: str
) -> None:
    name = f"room-{rooms[0].public_id}"

    client = sign_in(dora)
    given = {"what": name, f"{name}-name": "Room 1"} | seen_on(client, site_page)
    asked = client.post(site_page, given)
    assert asked.status_code == 400 and "4 visits are booked: " in text_of(asked)
    answer = client.post(site_page, given | {"confirmed": "yes"})

    assert answer.status_code == 302
    rooms[0].refresh_from_db()
    assert rooms[0].is_active is False
    shown = text_of(sign_in(dora).get(site_page))
    assert shown.count("Room 1 is not in use.") == 4
    assert reverse("sessions:appointment_move", args=[course.appointments.get(number=1).public_id]) in shown
    event = AuditEvent.objects.filter(action="misfits.viewed").last()
    assert event is not None and event.details["patients"] == [str(course.plan.patient.public_id)]


def test_person_page_saves_hours_absence_and_abilities(
    sign_in, ada: User, dora: User, lyon: Site, ada_page: str
) -> None:
    client, monday = sign_in(dora), make.monday()
    hours, may = f"hours-{lyon.public_id}", f"abilities-{lyon.public_id}"
    sent = [
        {"what": hours, f"{hours}-1-0-from": "09:00", f"{hours}-1-0-until": "12:00"},
        {"what": "absence", "absence-first_day": monday.isoformat(), "absence-kind": "leave"},
        {"what": may, f"{may}-codes": ["technique:nappage"]},
    ]

    assert [client.post(ada_page, given | seen_on(client, ada_page)).status_code for given in sent] == [302, 302, 302]
    assert list(ada.working_hours.values_list("weekday", "starts", "ends")) == [(1, time(9), time(12))]
    assert list(ada.absences.values_list("first_day", "last_day", "kind")) == [(monday, monday, "leave")]
    assert ada.abilities.get(site=lyon).codes == ["technique:nappage"]
    absence = ada.absences.get()
    for _twice in range(2):
        answer = client.post(ada_page, {"what": "absence_off", "absence": str(absence.public_id)})
        assert answer.status_code == 302
    assert ada.absences.count() == 0
    told = AuditEvent.objects.filter(action__startswith="person.").exclude(action="person.logged_in").order_by("pk")
    assert list(told.values_list("action", flat=True)) == [
        "person.hours_changed",
        "person.absence_added",
        "person.abilities_changed",
        "person.absence_removed",
    ]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"absence-first_day": "2027-05-04", "absence-last_day": "2027-05-01", "absence-kind": "leave"},
            "The last day comes before the first.",
        ),
        (
            {"absence-first_day": "2027-05-04", "absence-starts": "09:00", "absence-kind": "leave"},
            "Give both hours, or neither for whole days.",
        ),
        ({"absence-first_day": "2027-05-04", "absence-kind": "sick"}, "Select a valid choice."),
        ({"absence-kind": "leave"}, "This field is required."),
    ],
)
def test_person_page_refuses_an_absence_in_place(
    sign_in, ada: User, dora: User, ada_page: str, given: dict[str, str], told: str
) -> None:
    answer = sign_in(dora).post(ada_page, {"what": "absence", **given})

    assert (answer.status_code, ada.absences.count()) == (400, 0)
    assert told in text_of(answer)


def test_absence_lists_the_visits_that_fall_into_it_with_a_way_to_move_each(
    sign_in, course: Course, ada: User, dora: User, lyon: Site, ada_page: str
) -> None:
    visit = course.appointments.get(number=1)
    day = visit.starts_at.astimezone(lyon.tz).date()
    client = sign_in(dora)
    client.post(ada_page, {"what": "absence", "absence-first_day": day.isoformat(), "absence-kind": "training"})

    shown = text_of(client.get(ada_page))

    assert "Booked visits that no longer fit" in shown and "Training" in shown
    assert reverse("sessions:appointment_move", args=[visit.public_id]) in shown


def test_director_finds_the_pages_in_the_menu_and_nobody_else_does(sign_in, ada: User, dora: User) -> None:
    for who, offered in ((dora, True), (ada, False)):
        shown = text_of(sign_in(who).get(reverse("sessions:today")))
        assert (reverse("resources:sites") in shown, reverse("resources:people") in shown) == (offered, offered)


def test_reception_finds_the_visits_to_move_from_today(
    sign_in, course: Course, ada: User, cleo: User, dan: User, dora: User, lyon: Site
) -> None:
    page, client = reverse("resources:misfits"), sign_in(cleo)
    assert "Every booked visit fits" in text_of(client.get(page))
    assert "Visits that no longer fit" not in text_of(client.get(reverse("sessions:today")))
    day = course.appointments.get(number=1).starts_at.astimezone(lyon.tz).date()
    actions.add_absence(person=ada, first_day=day, last_day=day, kind="leave", by=dora)

    today = text_of(client.get(reverse("sessions:today")))
    assert "1 booked visit meets a closure, an absence, other hours or somebody who has left" in today and page in today
    shown = text_of(client.get(page))
    assert "Teodor Brandvold" in shown and "On leave" in shown
    assert reverse("sessions:appointment_move", args=[course.appointments.get(number=1).public_id]) in shown
    assert "Teodor" not in text_of(sign_in(dan).get(page))


# ------------------------------------------------------------------ two directors at once


@pytest.mark.parametrize(
    ("what", "mine", "theirs", "both"),
    [
        ("contact", {"contact-phone": "+33 4 11"}, {"contact-city": "69003 Lyon"}, {"contact-phone": "+33 4 22"}),
        ("minutes", {"minutes-prepare": "7"}, {"minutes-cleanup": "9"}, {"minutes-prepare": "8"}),
        ("hours", {"hours-0-0-from": "08:00"}, {"hours-2-0-until": "18:00"}, {"hours-0-0-from": "08:15"}),
        ("holidays", {"holidays-region": "57"}, {}, {"holidays-region": "6AE"}),
    ],
)
def test_two_directors_keep_each_others_changes_and_decide_what_both_changed(
    what: str, mine: dict[str, str], theirs: dict[str, str], both: dict[str, str], sign_in, dora: User, lyon: Site
) -> None:
    actions.set_opening_hours(site=lyon, blocks=[Hours(day, time(9), time(17)) for day in range(5)], by=dora)
    actions.set_holidays(site=lyon, country="FR", region="", by=dora)
    client, page = sign_in(dora), reverse("resources:site", args=[lyon.public_id])
    opened = {name: value for name, value in as_typed(client.get(page)).items() if name.startswith(f"{what}-")}
    opened |= {"what": what}

    assert client.post(page, opened | theirs).status_code == 302
    assert client.post(page, opened | mine).status_code == 302  # a page from before: each keeps the other's
    now = as_typed(client.get(page))
    assert {name: now[name] for name in mine | theirs} == mine | theirs

    refused = client.post(page, opened | both)
    assert refused.status_code == 400 and "Nothing was overwritten" in text_of(refused)
    assert client.post(page, opened | both).status_code == 400
    asked = re.findall(r'name="([^"]*keep-[^"]+)" value="(mine\.[^"]+)"', text_of(refused))
    assert len(asked) == 1
    decided = {name: value for name, value in as_typed(refused).items() if name.startswith(f"{what}-")}
    assert client.post(page, decided | {"what": what} | dict(asked)).status_code == 302
    now = as_typed(client.get(page))
    assert {name: now[name] for name in both | theirs} == both | theirs
