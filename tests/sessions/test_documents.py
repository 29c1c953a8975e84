"""Prints of visits: what may be prepared, the record, and packs with progress and a way to stop."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from mesoclinic.documents import actions, rendering
from mesoclinic.documents.checking import state_of
from mesoclinic.documents.models import Document, DocumentState
from mesoclinic.files import storage
from protocols.models import Ingredient, Plan, Product
from protocols.prints.documents import request_plan_pdf
from sessions.booking.actions import book_course, cancel_appointment
from sessions.booking.move import Target, move_appointment
from sessions.models import Administration, Appointment, Lot, TreatmentSession
from sessions.prints import documents
from sessions.prints.documents import (
    pack_visible,
    prepare_next_prints,
    request_pack,
    request_visit_pdf,
    visit_pdf_visible,
)
from tests import factories, ways_to_stop
from tests.factories_protocols import published_formulary, signed_plan
from tests.instant import Clock
from tests.mesoclinic.documents.prints import check_places, check_tags, snapshot, text_of
from tests.protocols.test_documents_set import WORST
from tests.sessions import factories as make

SNAPSHOTS = Path(__file__).parent / "snapshots"
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def visit(ada: User, cleo: User, dora: User, lyon: Site) -> Appointment:
    """The first of four booked sessions of a signed plan with four actives in one mixture."""
    published_formulary(by=dora)
    make.open_site(site=lyon, practitioner=ada, rooms=2)
    plan = signed_plan(by=ada, facts={"medications": ["antiplatelet_single"]})
    book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    return Appointment.objects.select_related("course__plan").get(number=1)


def day_of(visit: Appointment) -> date:
    return visit.starts_at.astimezone(visit.site.tz).date()


def made(document: Document) -> bytes:
    assert actions.render_document(document.pk) == DocumentState.READY, Document.objects.get(pk=document.pk).last_error
    document.refresh_from_db()
    return storage.read_file(document)


def test_the_preparation_sheet_says_what_to_draw_in_which_order(visit: Appointment, ben: User) -> None:
    plan = visit.course.plan
    stock = next(line for line in plan.result["syringes"][0]["lines"] if line["ingredient"] == "biochanin_a")
    product = Product.objects.create(
        ingredient=Ingredient.objects.get(key="biochanin_a"),
        name="Biochanin",
        concentration="0.2",
        concentration_unit="mg/mL",
        container="vial",
        container_volume_ml="5",
        supplier="House pharmacy",
    )
    for number, expires_on in (("LATE-2", date(2099, 5, 1)), ("SOON-1", date(2098, 5, 1))):
        Lot.objects.create(product=product, site=visit.site, number=number, expires_on=expires_on, received_ml="50")

    document = request_visit_pdf(appointment=visit, kind="preparation_sheet", by=ben)
    text = text_of(made(document))

    assert document.pages == 1
    lines = document.context["syringes"][0]["lines"]
    assert lines[0]["is_diluent"] and sum(line["is_diluent"] for line in lines) == 1
    assert document.context["total_volume_ml"] == plan.result["total_volume_ml"]
    assert "SOON-1, 1 May 2098" in text and "LATE-2" not in text
    assert f"{stock['dose']}\xa0mg" in text or f"{stock['dose']} mg" in text
    for words in (
        "Prepared by, time",
        "Checked by a second person",
        "To be used by",
        "Together",
        "Allergies",
        "1 of 2",
    ):
        assert words in text
    assert f"session 1 of {plan.result['course']['sessions']}" in text
    assert sum(zone["points"] for zone in document.context["zone_rows"]) == plan.result["course"]["points"]
    assert made(request_visit_pdf(appointment=visit, kind="syringe_labels", by=ben))


@pytest.mark.parametrize(("status", "said"), [("superseded", "is superseded"), ("stopped", "is stopped")])
def test_nothing_is_prepared_from_a_plan_that_is_not_in_force(
    visit: Appointment, ada: User, status: str, said: str
) -> None:
    Plan.objects.filter(pk=visit.course.plan_id).update(status=status)
    visit = Appointment.objects.get(pk=visit.pk)
    for kind in ("preparation_sheet", "syringe_labels"):
        with pytest.raises(InvalidInput, match=said):
            request_visit_pdf(appointment=visit, kind=kind, by=ada)
    with pytest.raises(InvalidInput, match="Nobody is booked"):
        request_pack(site=visit.site, first=day_of(visit), what="day", by=ada)


def test_nothing_is_prepared_from_an_unsigned_plan(visit: Appointment, ada: User) -> None:
    visit.course.plan.signed_at = None
    with pytest.raises(InvalidInput, match="Only a signed plan"):
        request_visit_pdf(appointment=visit, kind="preparation_sheet", by=ada)


def test_the_session_record_shows_what_was_injected(visit: Appointment, ada: User) -> None:
    with pytest.raises(InvalidInput, match="not been recorded"):
        request_visit_pdf(appointment=visit, kind="session_record", by=ada)
    done = TreatmentSession.objects.create(
        appointment=visit,
        plan=visit.course.plan,
        nothing_changed=True,
        tolerance=2,
        note="A small bruise.",
        performed_at=timezone.now(),
        performed_by=ada,
    )
    Administration.objects.create(
        session=done,
        ingredient=Ingredient.objects.get(key="biochanin_a"),
        syringe="A",
        planned_volume_ml="1",
        volume_ml="0.9",
        dose="0.18",
        dose_unit="mg",
        deviation_reason="Spilled",
    )
    text = text_of(made(request_visit_pdf(appointment=visit, kind="session_record", by=ada)))
    for words in ("0.90", "0.18", "Spilled", "A small bruise.", "Tolerance 2 of 5", "Recorded by Dr Ada Moreau"):
        assert words in text


def recorded(visit: Appointment, by: User) -> None:
    """The visit as planned, with long reasons and a long note."""
    done = TreatmentSession.objects.create(
        appointment=visit,
        plan=visit.course.plan,
        nothing_changed=False,
        tolerance=4,
        note="A new tablet for blood pressure since the last visit, lisinopril 5 mg.\n" * 4,
        performed_at=timezone.now(),
        performed_by=by,
    )
    for syringe in visit.course.plan.result["syringes"]:
        for line in syringe["lines"]:
            Administration.objects.create(
                session=done,
                ingredient=Ingredient.objects.get(key=line["ingredient"]),
                syringe=syringe["label"],
                planned_volume_ml=line["volume_ml"],
                volume_ml=line["volume_ml"],
                dose=line["dose"],
                dose_unit=line["dose_unit"],
                deviation_reason="Left in the syringe, since the patient asked to stop at the temples",
            )


@pytest.mark.prints
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_worst_visit_is_whole_and_tagged(ada: User, cleo: User, dora: User, lyon: Site, paper: str) -> None:
    """Eight actives in two mixtures, thirteen cautions, five sessions, names that fill two lines."""
    lyon.paper = paper
    lyon.save()
    published_formulary(by=dora)
    make.open_site(site=lyon, practitioner=ada, rooms=2)
    patient = factories.patient(
        by=ada,
        given_name="Maximiliane-Konstantina Elisabetta",
        family_name="von Hohenzollern-Sigmaringen y Fernández de la Vega",
        sex_at_birth="female",
        birth_date=date(1961, 12, 28),
        email="",
    )
    plan = signed_plan(by=ada, patient=patient, **WORST)
    assert (plan.result["course"]["sessions"], len(plan.result["cautions"])) == (5, 13)
    book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    visit = Appointment.objects.get(number=1)
    recorded(visit, by=ada)
    for kind in ("preparation_sheet", "syringe_labels", "session_record"):
        data = made(request_visit_pdf(appointment=visit, kind=kind, by=ada))
        check_tags(data, language="en")
        check_places(data)
        assert text_of(data).count("page 1 of 1") == 1
        assert "28 December 1961" in text_of(data) and "plan 1, version 1" in text_of(data)
    record = made(request_plan_pdf(plan=plan, kind="plan_patient", by=ada))  # with its dates
    check_places(record)
    assert text_of(record).count("09:00") == 5


def test_the_text_of_a_visits_prints_is_what_it_was(visit: Appointment, ada: User) -> None:
    recorded(visit, by=ada)
    for kind in ("preparation_sheet", "syringe_labels", "session_record"):
        snapshot(SNAPSHOTS / f"{kind}.txt", made(request_visit_pdf(appointment=visit, kind=kind, by=ada)))
    snapshot(SNAPSHOTS / "pack.txt", made(request_pack(site=visit.site, first=day_of(visit), what="day", by=ada)))


def test_booking_makes_the_dated_prints_ahead_of_need(
    ada: User, cleo: User, dora: User, lyon: Site, django_capture_on_commit_callbacks: Any
) -> None:
    published_formulary(by=dora)
    make.open_site(site=lyon, practitioner=ada, rooms=2)
    plan = signed_plan(by=ada)
    with django_capture_on_commit_callbacks(execute=True):  # reception books, and may not read what is made
        book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    ahead = {row.kind: row for row in Document.objects.all()}
    assert set(ahead) == {"plan_patient", "course_schedule"}
    assert ahead["plan_patient"] == request_plan_pdf(plan=plan, by=ada)
    assert [row["time"] for row in ahead["plan_patient"].context["sessions"]] == ["09:00"] * 4


def test_a_moved_visit_makes_the_dated_prints_anew_and_a_cancelled_one_none(
    visit: Appointment, ada: User, cleo: User, django_capture_on_commit_callbacks: Any
) -> None:
    before = request_plan_pdf(plan=visit.course.plan, by=ada)
    later = Target(starts_at=visit.starts_at + timedelta(hours=3), practitioner=ada, room=visit.room)
    with django_capture_on_commit_callbacks(execute=True):
        move_appointment(appointment=visit, target=later, rest="keep", by=cleo)
    ahead = {row.kind: row for row in Document.objects.exclude(pk=before.pk)}
    assert set(ahead) == {"plan_patient", "course_schedule"}
    for row in ahead.values():
        assert [entry["time"] for entry in row.context["sessions"]] == ["12:00", "09:00", "09:00", "09:00"]
        assert state_of(row.context["check_url"].rstrip("/").rsplit("/", 1)[1]) == "current"
    assert state_of(before.context["check_url"].rstrip("/").rsplit("/", 1)[1]) == "superseded"

    visit.refresh_from_db()
    with django_capture_on_commit_callbacks(execute=True):
        move_appointment(
            appointment=visit,
            target=Target(starts_at=later.starts_at - timedelta(hours=3), practitioner=ada, room=visit.room),
            rest="keep",
            by=cleo,
        )
    assert Document.objects.count() == 4  # back where it was: that plan is made already, a schedule was not
    last = Appointment.objects.get(course=visit.course, number=4)
    with django_capture_on_commit_callbacks(execute=True):
        cancel_appointment(appointment=last, by=cleo)
    assert Document.objects.count() == 4


def test_who_may_ask_for_prints_of_a_visit(visit: Appointment, ada: User, cleo: User, dan: User) -> None:
    document = request_visit_pdf(appointment=visit, kind="preparation_sheet", by=ada)
    pack = request_pack(site=visit.site, first=day_of(visit), what="day", by=ada)
    for user, sees in ((ada, True), (cleo, False), (dan, False)):
        assert (visit_pdf_visible(user, document), pack_visible(user, pack)) == (sees, sees)
        if not sees:
            with pytest.raises(NotAllowed):
                request_visit_pdf(appointment=visit, kind="preparation_sheet", by=user)
            with pytest.raises(NotAllowed):
                request_pack(site=visit.site, first=day_of(visit), what="day", by=user)
    with pytest.raises(InvalidInput):
        request_visit_pdf(appointment=visit, kind="plan_record", by=ada)
    with pytest.raises(InvalidInput):
        request_pack(site=visit.site, first=day_of(visit), what="year", by=ada)


@pytest.fixture
def two_visits(visit: Appointment, ada: User, cleo: User, lyon: Site) -> list[Appointment]:
    other = factories.patient(by=ada, given_name="Noor", family_name="Castellanos", email="")
    plan = signed_plan(by=ada, patient=other)
    book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    return [visit, Appointment.objects.get(course__plan=plan, number=1)]


def test_a_day_pack_is_one_tagged_file_of_all_sheets(two_visits: list[Appointment], ada: User) -> None:
    assert day_of(two_visits[0]) == day_of(two_visits[1])
    pack = request_pack(site=two_visits[0].site, first=day_of(two_visits[0]), what="day", by=ada)
    assert pack.parts == 2 and pack.person_id is None
    told = AuditEvent.objects.filter(action="document.requested", target_id=pack.public_id)
    assert {visit.patient.public_id for visit in two_visits} <= set(told.values_list("patient_id", flat=True))

    data = made(pack)
    pages = text_of(data).split("\f")[:-1]

    assert (pack.parts_done, len(pages)) == (2, 2)
    assert "Teodor Brandvold" in pages[0] and "Castellanos" not in pages[0] and "page 1 of 1" in pages[0]
    assert "Noor Castellanos" in pages[1] and "Brandvold" not in pages[1]
    check_tags(data, language="en", parts=2)
    check_places(data)
    with pikepdf.open(io.BytesIO(data)) as pdf:
        assert str(pdf.docinfo["/Title"]).startswith("Day pack, Lyon")
        assert len(pdf.Root.StructTreeRoot.K[0].K) >= 2
    week = request_pack(site=two_visits[0].site, first=day_of(two_visits[0]), what="week", by=ada)
    assert week.parts == 2 and week != pack


def test_a_pack_of_quotations_holds_each_plan_without_a_course(visit: Appointment, ada: User) -> None:
    with pytest.raises(InvalidInput, match="No plan waits"):
        request_pack(site=visit.site, first=day_of(visit), what="quotations", by=ada)
    for name in ("Noor", "Rasmus"):
        signed_plan(by=ada, patient=factories.patient(by=ada, given_name=name, family_name="Zed", email=""))
    pack = request_pack(site=visit.site, first=day_of(visit), what="quotations", by=ada)
    assert text_of(made(pack)).count("Whole course") == 2


def test_a_pack_can_be_stopped_while_it_is_made(
    two_visits: list[Appointment], ada: User, sign_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in(ada)
    answer = client.post(reverse("sessions:day_pack", args=[day_of(two_visits[0])]), {"what": "day"})
    pack = Document.objects.get(kind="pack")
    assert answer.url == reverse("documents:status", args=[pack.public_id])
    assert "0 of 2 sheets" in client.get(answer.url).content.decode()
    real = rendering._laid_out

    def cancelled_meanwhile(*args: Any) -> Any:
        if Document.objects.get(pk=pack.pk).parts_done == 1:
            assert "1 of 2 sheets" in client.get(answer.url).content.decode()
            client.post(reverse("documents:cancel", args=[pack.public_id]))
        return real(*args)

    monkeypatch.setattr(rendering, "_laid_out", cancelled_meanwhile)
    assert actions.render_document(pack.pk) is None
    pack.refresh_from_db()
    assert (pack.state, str(pack.file)) == (DocumentState.CANCELLED, "")
    with pytest.raises(InvalidTransition):
        actions.cancel_document(document=pack, by=ada)

    monkeypatch.setattr(rendering, "_laid_out", real)
    client.post(reverse("documents:retry", args=[pack.public_id]))
    assert made(Document.objects.get(pk=pack.pk))


def test_the_buttons_lead_to_the_documents_progress(visit: Appointment, ada: User, cleo: User, sign_in: Any) -> None:
    client = sign_in(ada)
    page = client.get(reverse("sessions:appointment", args=[visit.public_id])).content.decode()
    assert "Preparation sheet" in page and "Syringe labels" in page
    url = reverse("sessions:visit_document", args=[visit.public_id])
    answer = client.post(url, {"kind": "preparation_sheet"})
    assert answer.url == reverse("documents:status", args=[Document.objects.get().public_id])
    assert client.post(url, {"kind": "plan_record"}).status_code == 400

    reception = sign_in(cleo)
    assert reception.post(url).status_code == 403
    dates = reverse("sessions:visit_dates", args=[visit.public_id])
    assert reception.post(dates, {"kind": "course_schedule"}).status_code == 302
    assert reception.post(dates, {"kind": "quotation"}).status_code == 400


@pytest.mark.prints
def test_the_same_plan_gives_the_same_bytes_on_two_workers(visit: Appointment, ada: User, tmp_path: Path) -> None:
    """Two processes of their own, with other hash seeds, time zones and data folders."""
    import hashlib
    import json

    rows = [
        request_plan_pdf(plan=visit.course.plan, kind="plan_patient", by=ada),
        request_visit_pdf(appointment=visit, kind="preparation_sheet", by=ada),
    ]
    given = [{"kind": row.kind, "title": row.title, "language": row.language, "context": row.context} for row in rows]
    script = (
        "import django, sys, json, hashlib; django.setup()\n"
        "from mesoclinic.documents import rendering\n"
        "from mesoclinic.documents.models import Document\n"
        "for row in json.load(sys.stdin):\n"
        "    print(hashlib.sha256(rendering.render(Document(**row)).data).hexdigest())\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "tests.settings",
                "MESOCLINIC_DATA_DIR": str(tmp_path / seed),
                "PYTHONHASHSEED": seed,
                "TZ": zone,
            },
        )
        for seed, zone in (("1", "Asia/Tokyo"), ("2", "America/Lima"))
    ]
    heard = [worker.communicate(json.dumps(given))[0].split() for worker in workers]

    here = [hashlib.sha256(made(row)).hexdigest() for row in rows]
    assert heard == [here, here]


def test_prints_of_the_next_day_are_begun_before_anybody_asks(
    two_visits: list[Appointment], clock: Clock, django_assert_max_num_queries: Any
) -> None:
    first = min(two_visits, key=lambda visit: visit.starts_at)
    clock.move_to(first.starts_at - timedelta(hours=25))
    assert prepare_next_prints(by=None) == 0

    clock.move_to(first.starts_at - timedelta(hours=20))
    assert prepare_next_prints(by=None) == 2
    kinds = Document.objects.order_by("pk").values_list("subject_id", "kind")
    assert sorted(kinds) == sorted(
        (visit.public_id, kind) for visit in two_visits for kind in ("preparation_sheet", "syringe_labels")
    )
    with django_assert_max_num_queries(5):
        assert prepare_next_prints(by=None) == 0


def test_stopped_visits_keep_no_other_print_waiting(
    two_visits: list[Appointment], ada: User, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sorted(two_visits, key=lambda visit: (visit.starts_at, visit.pk))
    ways_to_stop.brand(first.course.plan, ada)
    monkeypatch.setattr(documents, "AHEAD_AT_ONCE", 1)
    clock.move_to(first.starts_at - timedelta(hours=20))

    assert prepare_next_prints(by=None) == 1

    assert set(Document.objects.filter(kind="preparation_sheet").values_list("subject_id", flat=True)) == {
        second.public_id
    }


@pytest.mark.parametrize("kind", ["preparation_sheet", "syringe_labels"])
def test_nothing_is_prepared_for_a_visit_that_was_cancelled(
    visit: Appointment, ada: User, cleo: User, kind: str
) -> None:
    cancel_appointment(appointment=visit, by=cleo)
    visit.refresh_from_db()

    with pytest.raises(InvalidInput, match="does not take place"):
        request_visit_pdf(appointment=visit, kind=kind, by=ada)


def test_print_that_was_begun_ahead_is_the_one_that_a_press_opens(visit: Appointment, ada: User, clock: Clock) -> None:
    clock.move_to(visit.starts_at - timedelta(hours=2))
    prepare_next_prints(by=None)

    document = request_visit_pdf(appointment=visit, kind="preparation_sheet", by=ada)

    assert Document.objects.filter(kind="preparation_sheet").get() == document
