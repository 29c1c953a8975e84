"""Whole courses booked a second on SQLite, beside bare inserts of as many appointments in one transaction each."""

from __future__ import annotations

import time
from datetime import timedelta

from benchmarks._measuring import beside, sample_clinic

COURSES = 20


def main() -> None:
    with sample_clinic():
        from django.db import connection, transaction
        from django.utils import timezone

        from mesoclinic.accounts.models import User
        from protocols.models import Plan
        from sessions.booking.actions import book_course, cancel_course
        from sessions.models import Appointment, Course

        lena = User.objects.get(given_name="Lena")
        plan = Plan.objects.filter(status="signed", course__isnull=True).get()
        site = plan.patient.site
        taken = 0.0
        for _ in range(COURSES):
            began = time.perf_counter()
            course = book_course(
                plan=plan,
                site=site,
                practitioner=lena,
                earliest=(timezone.now() + timedelta(days=1)).astimezone(site.tz).date(),
                by=lena,
            )
            taken += time.perf_counter() - began
            cancel_course(course=course, by=lena)
        course = Course.objects.get(plan=plan)
        rows = list(course.appointments.order_by("-pk")[:5].values())
        bare = 0.0
        for number in range(COURSES):
            copies = [
                Appointment(
                    **{
                        key: value
                        for key, value in row.items()
                        if key not in ("id", "public_id", "starts_at", "ends_at")
                    },
                    starts_at=row["starts_at"] + timedelta(days=400 + number),
                    ends_at=row["ends_at"] + timedelta(days=400 + number),
                )
                for row in rows
            ]
            began = time.perf_counter()
            with transaction.atomic():
                Appointment.objects.bulk_create(copies)
            bare += time.perf_counter() - began
        connection.close()
        beside(
            f"course of {len(rows)}, planned, booked, told", COURSES / taken, "bare insert", COURSES / bare, unit="/s"
        )


if __name__ == "__main__":
    main()
