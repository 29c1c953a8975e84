from datetime import date

from django.urls import path, register_converter

from sessions import calendar_views, hole_views, moving_views, print_views, undo_views, views


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
    path("", views.today, name="today"),
    path("day/<day:day>/", views.day, name="day"),
    path("calendar/", calendar_views.calendar, name="calendar"),
    path("calendar/free/", calendar_views.calendar_free, name="calendar_free"),
    path("calendar/feed/", calendar_views.calendar_feed, name="calendar_feed"),
    path("calendar/feed/<uuid:public_id>/revoke/", calendar_views.calendar_feed_revoke, name="calendar_feed_revoke"),
    path("feeds/<str:secret>.ics", calendar_views.feed, name="feed"),
    path("patients/<uuid:public_id>/", views.patient, name="patient"),
    path("patients/<uuid:public_id>/visits/cancel/", views.visits_cancel, name="visits_cancel"),
    path("plans/<uuid:public_id>/book/", views.course_book, name="course_book"),
    path("courses/<uuid:public_id>/cancel/", views.course_cancel, name="course_cancel"),
    path("courses/<uuid:public_id>/missing/", hole_views.course_missing, name="course_missing"),
    path("appointments/<uuid:public_id>/", views.appointment, name="appointment"),
    path("day/<day:day>/pack/", print_views.day_pack, name="day_pack"),
    path("appointments/<uuid:public_id>/document/", print_views.visit_document, name="visit_document"),
    path("appointments/<uuid:public_id>/dates/", print_views.visit_dates, name="visit_dates"),
    path("appointments/<uuid:public_id>/move/", moving_views.appointment_move, name="appointment_move"),
    path("times/give/", moving_views.time_give, name="time_give"),
    path("changes/<uuid:public_id>/undo/", undo_views.change_undo, name="change_undo"),
    path("appointments/<uuid:public_id>/to/", moving_views.appointment_to, name="appointment_to"),
    path("appointments/<uuid:public_id>/status/", views.appointment_status, name="appointment_status"),
    path("appointments/<uuid:public_id>/call/", views.appointment_call, name="appointment_call"),
    path("appointments/<uuid:public_id>/cancel/", views.appointment_cancel, name="appointment_cancel"),
    path("appointments/<uuid:public_id>/record/", views.session_record, name="session_record"),
]
