"""The inbox of answers, and the director's pages for mail: its wording and a test."""

from __future__ import annotations

import uuid
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages as notices
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.audit.conflicts import Conflict
from mesoclinic.core.errors import DomainError, InvalidTransition
from mesoclinic.documents.queries import document_visible_to
from mesoclinic.messaging.actions import queue_message
from mesoclinic.messaging.compose import Composed
from mesoclinic.messaging.models import Message
from mesoclinic.messaging.views import letter_response, mail_leaves
from mesoclinic.ui.merging import MergingForm
from mesoclinic.ui.toasts import show_toast
from patients.record.strip import patient_strip
from sessions.booking.views.move import move_to
from sessions.booking.views.undo import undo_url_of
from sessions.course.standing_band import chips_of
from sessions.inbox import inbox
from sessions.inbox.wish_offers import offer_for
from sessions.mail import letters
from sessions.mail.example import example
from sessions.mail.kinds import LETTER_KINDS
from sessions.mail.waiting import may_be_mailed
from sessions.models import AppointmentStatus
from sessions.models.followups import Answer, AnswerKind, AnswerOutcome, AnswerState, MailWording
from sessions.prints.papers import mail_paper
from sessions.words import when_words

PER_PAGE = 50
TYPED = "wording.typed"  # in the login session: the words that a director looks at and has not kept
PLACEHOLDER_WORDS = {
    "name": gettext_lazy("the patient’s name"),
    "house": gettext_lazy("clinic and site"),
    "practitioner": gettext_lazy("who treats"),
    "phone": gettext_lazy("the site’s phone"),
    "place": gettext_lazy("the site’s name"),
    "zone": gettext_lazy("the site’s time zone"),
    "day": gettext_lazy("the day of the visit"),
    "time": gettext_lazy("the time of the visit"),
    "minutes": gettext_lazy("how long it takes"),
    "n": gettext_lazy("how many dates"),
    "dates": gettext_lazy("the list of dates"),
    "was": gettext_lazy("the time before it moved"),
    "advice": gettext_lazy("the formulary’s advice, as a list"),
    "months": gettext_lazy("months since the last visit"),
    "text": gettext_lazy("what you write back"),
}
SHOWN = {"open": gettext_lazy("Open"), "closed": gettext_lazy("Closed"), "all": gettext_lazy("All")}


@requires(Permission.MESSAGE_READ)
@require_safe
def inbox_list(request: ClinicRequest) -> HttpResponse:
    shown = request.GET.get("show", "open")
    shown = shown if shown in SHOWN else "open"
    found = inbox.answers_visible_to(request.user)
    if shown == "open":
        found = inbox.open_ones(found)
    elif shown == "closed":
        found = inbox.newest_of(found).filter(state=AnswerState.CLOSED).exclude(kind=AnswerKind.CONFIRM)
    page = Paginator(inbox.for_rows(found), PER_PAGE).get_page(request.GET.get("page"))
    now = timezone.now()
    rows = [inbox.row_of(answer, user=request.user, now=now) for answer in page.object_list]
    stops = chips_of([row.answer.patient for row in rows], user=request.user)
    for row in rows:
        row.answer.patient.stop = stops.get(row.answer.patient_id, "")  # type: ignore[attr-defined]
    trail.record("answers.listed", by=request.user, details={"show": shown, "page": page.number})
    context = {"page": page, "rows": rows, "shown": shown, "filters": SHOWN.items()}
    return render(request, "inbox/inbox_list.html", context)


class ReplyForm(forms.Form):
    text = forms.CharField(
        label=gettext_lazy("What the patient reads"), max_length=2000, widget=forms.Textarea(attrs={"rows": 4})
    )


class HandForm(forms.Form):
    to = forms.ModelChoiceField(
        label=gettext_lazy("Hand over to"), queryset=User.objects.none(), to_field_name="public_id"
    )


_OUTCOMES = [(value, label) for value, label in AnswerOutcome.choices if value in AnswerOutcome.BY_HAND]


class CloseForm(forms.Form):
    outcome = forms.ChoiceField(label=gettext_lazy("How it ended"), choices=_OUTCOMES)
    note = forms.CharField(label=gettext_lazy("Note"), max_length=500, required=False)


@requires(Permission.MESSAGE_READ)
@require_safe
def inbox_detail(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    answer = _answer(request, public_id)
    trail.record("answer.viewed", by=request.user, target=answer, patient=answer.patient)
    return _detail(request, answer)


def _answer(request: ClinicRequest, public_id: UUID) -> Answer:
    return get_object_or_404(inbox.for_rows(inbox.answers_visible_to(request.user)), public_id=public_id)


def _detail(
    request: ClinicRequest,
    answer: Answer,
    *,
    reply_form: forms.Form | None = None,
    hand_form: forms.Form | None = None,
    close_form: forms.Form | None = None,
    refusal: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    now = timezone.now()
    row = inbox.row_of(
        answer,
        user=request.user,
        now=now,
        expected=inbox.expected_of(answer) if request.user.may(Permission.SESSION_READ) else (),
    )
    texts = inbox.reply_texts(answer)
    template = request.GET.get("template", "")
    hand_form = hand_form or HandForm()
    hand_form.fields["to"].queryset = _people(answer)  # type: ignore[attr-defined]
    try:
        inbox.check_can_handle(answer, by=request.user)
        may_handle, why_not = True, ""
    except DomainError as error:
        may_handle, why_not = False, str(error)
    context = {
        "row": row,
        "answer": answer,
        "strip": patient_strip(answer.patient, user=request.user),
        "templates": [(key, inbox.REPLY_LABELS[key]) for key in texts],
        "template": template,
        "reply_form": reply_form or ReplyForm(initial={"text": texts.get(template, "")}),
        "hand_form": hand_form,
        "close_form": close_form or CloseForm(),
        "may_handle": may_handle,
        "why_not": why_not,
        "refusal": refusal,
        "history": inbox.history_of(answer, user=request.user),
        "wish": offer_for(answer, user=request.user, now=now) if may_handle else None,
        "missed_url": _missed_url(answer, request) if may_handle else "",
    }
    with timezone.override((answer.appointment.site if answer.appointment else answer.patient.site).tz):
        return render(request, "inbox/inbox_detail.html", context, status=status)


def _missed_url(answer: Answer, request: ClinicRequest) -> str:
    """Where the session of a missed visit is booked anew, for who asked for another time."""
    visit = answer.appointment
    missed = visit is not None and visit.status in AppointmentStatus.FREE_AGAIN and answer.kind == AnswerKind.MOVE
    if visit is None or not missed or not request.user.may(Permission.BOOKING_WRITE):
        return ""
    return f"{reverse('sessions:course_missing', args=[visit.course.public_id])}?n={visit.number}"


def _people(answer: Answer) -> QuerySet[User]:
    return User.objects.filter(is_active=True, sites=answer.patient.site_id).order_by("family_name", "given_name")


@requires(Permission.MESSAGE_WRITE)
@require_POST
def inbox_reply(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    answer = _answer(request, public_id)
    form = ReplyForm(request.POST)
    if form.is_valid():
        try:
            inbox.reply(answer=answer, text=form.cleaned_data["text"], by=request.user)
        except DomainError as refusal:
            form.add_error(refusal.field, str(refusal))
        else:
            notices.success(request, _("Your reply leaves in a few minutes; until then it can be undone."))
            return redirect("inbox:detail", public_id=public_id)
    return _detail(request, answer, reply_form=form, status=400)


@requires(Permission.MESSAGE_WRITE, Permission.BOOKING_WRITE)
@require_POST
def inbox_move(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Give the time that was wished, or another that the page offered: the visit moves and the patient is told."""
    answer = _answer(request, public_id)
    visit = answer.appointment
    try:
        inbox.check_can_handle(answer, by=request.user)
        if visit is None or answer.kind != AnswerKind.MOVE:
            raise InvalidTransition(_("This answer asks for no other time."))
        moved = move_to(visit, request, wish=answer)
    except DomainError as refusal:
        answer.refresh_from_db()
        return _detail(request, _answer(request, public_id), refusal=refusal, status=refusal.status)
    names = {"n": moved.number, "name": moved.patient, "when": when_words(moved.starts_at, moved.site)}
    told = _("Session %(n)s of %(name)s is moved to %(when)s.") % names
    if may_be_mailed(moved.patient):
        told += " " + _("The mail about it leaves in a few minutes.")
    show_toast(request, told, undo_url=undo_url_of(moved))
    return redirect("inbox:list")


@requires(Permission.MESSAGE_WRITE)
@require_POST
def inbox_hand_over(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    answer = _answer(request, public_id)
    form = HandForm(request.POST)
    form.fields["to"].queryset = _people(answer)  # type: ignore[attr-defined]
    if form.is_valid():
        try:
            inbox.hand_over(answer=answer, to=form.cleaned_data["to"], by=request.user)
        except DomainError as refusal:
            form.add_error(refusal.field, str(refusal))
        else:
            notices.success(request, _("Handed over to %(who)s.") % {"who": form.cleaned_data["to"]})
            return redirect("inbox:detail", public_id=public_id)
    return _detail(request, answer, hand_form=form, status=400)


@requires(Permission.MESSAGE_WRITE)
@require_POST
def inbox_close(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    answer = _answer(request, public_id)
    form = CloseForm(request.POST)
    if form.is_valid():
        try:
            inbox.close(answer=answer, by=request.user, **form.cleaned_data)
        except DomainError as refusal:
            form.add_error(refusal.field, str(refusal))
        else:
            notices.success(request, _("Closed."))
            return redirect("inbox:list")
    return _detail(request, answer, close_form=form, status=400)


# ------------------------------------------------------------------ the director's pages


@requires(Permission.SETTINGS_WRITE)
@require_safe
def wording_list(request: ClinicRequest) -> HttpResponse:
    """Every kind of mail in every language, whether its words are the clinic's own, and what became of tests."""
    own = {}
    for row in MailWording.objects.select_related("created_by").order_by("version"):
        own[row.kind, row.language] = row
    rows = [
        {
            "kind": kind,
            "label": LETTER_KINDS[kind].label,
            "subject": letters.shipped("en")["letters"][kind]["heading"],
            "languages": [
                {"code": code, "name": name, "own": own.get((kind, code))} for code, name in settings.LANGUAGES
            ],
        }
        for kind in letters.KINDS
    ]
    tests = Message.objects.filter(purpose="test", person_id=request.user.public_id).order_by("-created_at")[:3]
    context = {"rows": rows, "tests": tests, "mail_leaves": mail_leaves(request)}
    return render(request, "inbox/wording_list.html", context)


class WordingForm(MergingForm):
    subject = forms.CharField(label=gettext_lazy("Subject"), max_length=150, required=False)
    preview = forms.CharField(label=gettext_lazy("Preview line"), max_length=200, required=False)
    heading = forms.CharField(label=gettext_lazy("Heading"), max_length=150, required=False)
    body = forms.CharField(
        label=gettext_lazy("Text"), max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 10})
    )
    button = forms.CharField(label=gettext_lazy("Button"), max_length=60, required=False)


@requires(Permission.SETTINGS_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def wording_edit(request: ClinicRequest, kind: str, language: str) -> HttpResponse:
    """A director's words for one kind and language: preview, check, keep or go back to what is shipped."""
    _check_kind(kind, language)
    now = letters.wording(kind, language)
    stored = {name: getattr(now, name) for name in letters.FIELDS}
    form = WordingForm(request.POST if request.method == "POST" else None, initial=stored, stored=stored)
    status = 200
    shown = now
    if request.method == "POST" and request.POST.get("do") == "reset":
        letters.reset_wording(kind=kind, language=language, by=request.user)
        notices.success(request, _("Back to the words that are shipped."))
        return redirect("inbox:wording", kind=kind, language=language)
    if request.method == "POST" and form.is_valid():
        texts = form.cleaned_data
        faults = letters.faults_of(kind, texts)
        for field, sentence in faults.items():
            form.add_error(field, sentence)
        try:
            if not faults and request.POST.get("do") == "keep":
                form.merge()
        except Conflict as conflict:
            form.ask(conflict)
            faults = {conflict.clashes[0].field: str(conflict)}
        if not faults and request.POST.get("do") == "keep":
            letters.change_wording(kind=kind, language=language, texts=texts, by=request.user)
            notices.success(request, _("Kept. Mails written from now on say this."))
            return redirect("inbox:wording", kind=kind, language=language)
        if faults:
            status = 400
        else:
            shown = letters.Wording(**{name: texts[name] for name in letters.FIELDS}, version=now.version)
    # The frame below asks for the letter by itself; what was typed and not kept waits for it here.
    request.session[TYPED] = [kind, language, {name: getattr(shown, name) for name in letters.FIELDS}]
    context = {
        "kind": kind,
        "label": LETTER_KINDS[kind].label,
        "language": language,
        "language_name": dict(settings.LANGUAGES)[language],
        "form": form,
        "now": now,
        "changed": shown is not now,
        "placeholders": [
            (f"{{{name}}}", PLACEHOLDER_WORDS[name], name in letters.REQUIRED[kind])
            for name in sorted(letters.PLACEHOLDERS[kind])
        ],
        "preview": _preview(request, kind, language, shown),
        "history": MailWording.objects.filter(kind=kind, language=language).select_related("created_by")[:20],
    }
    return render(request, "inbox/wording_edit.html", context, status=status)


@requires(Permission.SETTINGS_WRITE)
@require_safe
@never_cache
@xframe_options_sameorigin
def wording_letter(request: ClinicRequest, kind: str, language: str) -> HttpResponse:
    """The letter of the page above as its reader would see it, alone in its frame."""
    _check_kind(kind, language)
    shown = letters.wording(kind, language)
    typed = request.session.get(TYPED)
    if typed and typed[:2] == [kind, language]:
        shown = letters.Wording(**typed[2], version=shown.version)
    return letter_response(_preview(request, kind, language, shown).html)


def _check_kind(kind: str, language: str) -> None:
    if kind not in letters.KINDS or language not in dict(settings.LANGUAGES):
        raise Http404


def _preview(request: ClinicRequest, kind: str, language: str, texts: letters.Wording) -> Composed:
    site = request.site
    if site is None:
        raise Http404
    house = f"{request.clinic}, {site}"
    return example(kind, language, site=site, house=house, practitioner=request.user.name, texts=texts)


@requires(Permission.SETTINGS_WRITE)
@require_POST
def mail_test(request: ClinicRequest) -> HttpResponse:
    """Send one mail to oneself, through the outbox and the mail server like any other."""
    user = request.user
    message = queue_message(
        purpose="test",
        subject_id=uuid.uuid4(),
        person_id=user.public_id,
        person_label=user.name,
        to_address=user.email,
        language=user.language,
        subject=_("A test from %(clinic)s") % {"clinic": request.clinic},
        text=_("This mail was sent by the outbox. If you read it, mail leaves the house and arrives."),
        html="",
        due_at=timezone.now(),
        useful_until=timezone.now() + timedelta(hours=6),
        by=user,
    )
    if mail_leaves(request):
        notices.success(request, _("A test is on its way to %(address)s.") % {"address": message.to_address})
    else:
        notices.warning(request, _("No mail leaves this install, so the test stays in the outbox."))
    return redirect("inbox:wordings")


@requires(Permission.MESSAGE_WRITE)
@require_POST
def paper_mail(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Mail a paper to its patient, from the page on which it stands."""
    document = document_visible_to(request.user, public_id)
    message = mail_paper(document=document, by=request.user)
    told = _("The mail to %(address)s leaves in a few minutes. Its link asks the birth date.")
    show_toast(
        request, told % {"address": message.to_address}, undo_url=reverse("messaging:undo", args=[message.public_id])
    )
    back = request.POST.get("back", "")
    page = reverse("documents:status", args=[document.public_id])
    return redirect(f"{page}?{urlencode({'back': back})}" if back.startswith("/") else page)
