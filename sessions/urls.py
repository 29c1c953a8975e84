"""The addresses of the pages of visits."""

from datetime import date

from django.urls import path, register_converter

from sessions.booking.views import appointment, course, holes, move, overbook, undo
from sessions.calendar import views as calendar
from sessions.pages import views as pages
from sessions.prints import views as prints
from sessions.renewal import views as renewal
from sessions.treatment import views as treatment


class DayConverter:
    """A calendar day of 1901 to 2198, as 2026-11-24. What is no such day is no page.

    A link may lead a year further than a page: to the week before the first day and after the last.
    """

    regex = r"(?:19|20|21)\d{2}-\d{2}-\d{2}"

    def to_python(self, value: str) -> date:
        day = date.fromisoformat(value)
        if not 1901 <= day.year <= 2198:
            raise ValueError("A page leads to the days beside it.")
        return day

    def to_url(self, value: date | str) -> str:
        return value if isinstance(value, str) else value.isoformat()


register_converter(DayConverter, "day")

app_name = "sessions"
urlpatterns = [
    path("", pages.today, name="today"),
    path("day/<day:day>/", pages.day, name="day"),
    path("calendar/", calendar.calendar, name="calendar"),
    path("calendar/free/", calendar.calendar_free, name="calendar_free"),
    path("calendar/feed/", calendar.calendar_feed, name="calendar_feed"),
    path("calendar/feed/<uuid:public_id>/revoke/", calendar.calendar_feed_revoke, name="calendar_feed_revoke"),
    path("feeds/<str:secret>.ics", calendar.feed, name="feed"),
    path("patients/<uuid:public_id>/", pages.patient, name="patient"),
    path("patients/<uuid:public_id>/visits/cancel/", renewal.visits_cancel, name="visits_cancel"),
    path("plans/<uuid:public_id>/book/", course.course_book, name="course_book"),
    path("courses/<uuid:public_id>/cancel/", course.course_cancel, name="course_cancel"),
    path("courses/<uuid:public_id>/missing/", holes.course_missing, name="course_missing"),
    path("appointments/<uuid:public_id>/", appointment.appointment, name="appointment"),
    path("day/<day:day>/pack/", prints.day_pack, name="day_pack"),
    path("appointments/<uuid:public_id>/document/", prints.visit_document, name="visit_document"),
    path("appointments/<uuid:public_id>/dates/", prints.visit_dates, name="visit_dates"),
    path("appointments/<uuid:public_id>/move/", move.appointment_move, name="appointment_move"),
    path("times/give/", move.time_give, name="time_give"),
    path("changes/<uuid:public_id>/undo/", undo.change_undo, name="change_undo"),
    path("appointments/<uuid:public_id>/to/", move.appointment_to, name="appointment_to"),
    path("appointments/<uuid:public_id>/status/", appointment.appointment_status, name="appointment_status"),
    path("appointments/<uuid:public_id>/call/", appointment.appointment_call, name="appointment_call"),
    path("appointments/<uuid:public_id>/cancel/", appointment.appointment_cancel, name="appointment_cancel"),
    path("appointments/<uuid:public_id>/record/", treatment.session_record, name="session_record"),
    path("plans/<uuid:public_id>/overbook/", overbook.plan_overbook, name="plan_overbook"),
    path("appointments/<uuid:public_id>/overbook/", overbook.appointment_overbook, name="appointment_overbook"),
]
