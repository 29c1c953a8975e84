"""A series is worked out without locks and looked at again under them: what somebody else took meanwhile is seen."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from sessions.booking import actions
from sessions.booking.actions import book_appointment, book_course
from sessions.times.propose import ProposalChanged
from tests.sessions import factories as make


@pytest.fixture
def overtaken(ada, cleo, lyon, rooms):
    """Between working a series out and booking it, another patient takes this time; so many times in a row."""
    book = actions._book_picked

    def arrange(*starts):
        left = list(starts)

        def later(picked, course, **given):
            if left:
                other = make.plan(patient=make.patient(by=cleo, given_name=f"Amelia {len(left)}"), by=ada)
                book_appointment(
                    plan=other,
                    number=1,
                    site=lyon,
                    practitioner=ada,
                    room=rooms[1],
                    starts_at=left.pop(0),
                    by=cleo,
                )
            return book(picked, course, **given)

        return patch.object(actions, "_book_picked", later)

    return arrange


def test_time_taken_while_waiting_for_the_locks_is_replaced_by_the_next_best(plan, overtaken, lyon, ada, cleo) -> None:
    nine = make.utc(make.monday(), 9).replace(tzinfo=lyon.tz)
    with overtaken(nine):
        course = book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)

    first = course.appointments.get(number=1).starts_at.astimezone(lyon.tz)
    assert (first.date(), course.appointments.count()) == (make.monday(), 4)
    assert first.time() != nine.time()


def test_time_taken_while_waiting_for_the_locks_is_not_replaced_unseen(plan, overtaken, lyon, ada, cleo) -> None:
    nine = make.utc(make.monday(), 9).replace(tzinfo=lyon.tz)
    seen = [
        slot.starts_at
        for slot in actions.propose_series(
            plan=plan,
            site=lyon,
            practitioner=ada,
            wishes=actions.wishes_from(earliest=make.monday()),
            now=make.utc(make.monday(weeks=1), 0),
        ).slots
    ]
    with overtaken(nine), pytest.raises(ProposalChanged, match="somebody booked one of them"):
        book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), expected=seen, by=cleo)

    assert not hasattr(plan, "course") or not plan.course.appointments.exists()


def test_only_the_people_and_rooms_of_the_series_are_locked(plan, lyon, ada, ben, cleo) -> None:
    """Of everybody who could treat, those who will; so that others go on booking meanwhile."""
    make.hours(practitioner=ben, site=lyon)
    wanted: list[dict] = []
    with patch.object(actions, "lock_time", lambda **given: wanted.append(given)):
        course = book_course(plan=plan, site=lyon, practitioner=None, earliest=make.monday(), by=cleo)

    visits = course.appointments.all()
    (given,) = wanted
    assert set(given["practitioner_ids"]) == {visit.practitioner_id for visit in visits}
    assert set(given["room_ids"]) == {visit.room_id for visit in visits}
    assert given["patient_id"] == plan.patient_id
