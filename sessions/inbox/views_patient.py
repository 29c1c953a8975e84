"""The pages behind the buttons in mails. No account: the signed link is the permission, and GET changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from typing import Any
from uuid import UUID

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from mesoclinic.accounts.access import public
from mesoclinic.accounts.models import Site
from mesoclinic.core.counting import count, counted
from mesoclinic.core.errors import DomainError, InvalidTransition
from mesoclinic.documents.views import file_name, pdf_response
from mesoclinic.files import storage
from sessions.inbox import answers
from sessions.inbox.answers import Subject
from sessions.mail import letters
from sessions.mail.links import id_in, is_open, token_of
from sessions.models import Appointment, AppointmentStatus
from sessions.models.followups import Answer, AnswerKind, AnswerLink, MailPreference, Urgency
from sessions.prints import papers

WRONG_PER_ADDRESS = 20  # wrong links from one address in a window; then it is asked to wait
WRONG_IN_ALL = 2000  # wrong links from anywhere; then wrong ones are no longer looked at, right ones still are
WINDOW_SECONDS = 900
_REASON = "patients answer without an account: the signed, expiring link in their mail is the permission"

View = Callable[..., HttpResponse]


def with_link(view: View) -> View:
    """Give the view its link's subject, or a kind page where the link is unknown, old or revoked."""

    @wraps(view)
    def opened(request: HttpRequest, token: str, **kwargs: Any) -> HttpResponse:
        if _has_to_wait(request):
            return _wait(request)
        public_id = id_in(token)
        if public_id is None:
            return _wait(request) if _count_wrong(request) else _old(request, None)
        link = AnswerLink.objects.select_related("patient__site").filter(public_id=public_id).first()
        if link is None or not is_open(link, at=timezone.now()):
            return _old(request, link)
        with translation.override(link.patient.language):
            response = view(request, answers.subject_of(link), **kwargs)
        response["X-Robots-Tag"] = "noindex, nofollow"
        return response

    return opened


def _address(request: HttpRequest) -> str:
    return str(get_adapter(request).get_client_ip(request))


def _has_to_wait(request: HttpRequest) -> bool:
    return counted(f"answers:wrong:{_address(request)}") >= WRONG_PER_ADDRESS


def _count_wrong(request: HttpRequest) -> bool:
    """Count a link that we never made; True once there were too many."""
    limits = ((f"answers:wrong:{_address(request)}", WRONG_PER_ADDRESS), ("answers:wrong", WRONG_IN_ALL))
    counts = [
        (count(key, seconds=WINDOW_SECONDS), limit) for key, limit in limits
    ]  # both are counted, whichever is over
    return any(wrong > limit for wrong, limit in counts)


def _wait(request: HttpRequest) -> HttpResponse:
    response = _page(request, None, "wait", {"title": "wait_title"}, status=429)
    response["Retry-After"] = str(WINDOW_SECONDS)
    return response


def _old(request: HttpRequest, link: AnswerLink | None) -> HttpResponse:
    """The same page whether the link is old, revoked or was never ours."""
    return _page(request, link, "old", {"title": "old_title"}, status=404)


def _page(
    request: HttpRequest, link: AnswerLink | None, name: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    patient = link.patient if link else None
    language = patient.language if patient else (translation.get_language() or "en")[:2]
    site: Site | None = context.get("site") or (patient.site if patient else Site.objects.order_by("pk").first())
    values = {
        "name": (patient.given_name or patient.name) if patient else "",
        "phone": site.phone if site else "",
        "phone_of_patient": patient.phone if patient else "",
        "emergency": settings.EMERGENCY_NUMBER,
        "until": letters.day_of(link.expires_at, site.tz, language) if link and site else "",
        "day": "",
        **context.pop("values", {}),
    }
    said = {key: text.format(**values) for key, text in letters.page_texts(language).items()}
    for key in ("title", "body", "why"):
        if context.get(key):
            context[key] = said[context[key]]
    context["advice"] = [said[key] for key in context.get("advice", ())]
    full = {
        "said": said,
        "language": language,
        "the_site": site,
        "tel": (site.phone if site else "").replace(" ", ""),
        "emergency": settings.EMERGENCY_NUMBER,
        "link": link,
        "token": token_of(link) if link and status == 200 else "",
        **context,
    }
    return render(request, f"answers/{name}.html", full, status=status)


def _visit_row(visit: Appointment, language: str) -> dict[str, Any]:
    local = visit.starts_at.astimezone(visit.site.tz)
    return {
        "visit": visit,
        "day": letters.day_of(visit.starts_at, visit.site.tz, language, year=True),
        "time": f"{local:%H:%M}",
        "open": visit.status == AppointmentStatus.BOOKED and visit.starts_at > timezone.now(),
    }


def _as_shown(visits: Iterable[Appointment]) -> str:
    """What a page shows of the visits: it comes back with the answer, so that an older page answers nothing."""
    return " ".join(f"{visit.public_id}:{visit.sequence}" for visit in visits)


@public(_REASON)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@with_link
def opened(request: HttpRequest, subject: Subject) -> HttpResponse:
    """What the mail's button leads to: the visits, the questions, or the wish to be called."""
    if subject.page == answers.PAPER:
        return _paper(request, subject)
    if request.method == "POST":
        return _answer(request, subject)
    return _ask(request, subject)


def _paper(request: HttpRequest, subject: Subject) -> HttpResponse:
    """Ask for the birth date; then give the paper itself. A few wrong dates close the page for a while."""
    link, context = subject.link, {"title": "paper_title", "site": subject.site, "error": ""}
    if papers.paper_of(link) is None:
        return _old(request, link)
    if request.method != "POST":
        return _render(request, link, "paper", context)
    if papers.has_to_wait(link):
        return _wait(request)
    document = papers.open_paper(link, born=request.POST.get("born", ""))
    if document is None:
        context["error"] = letters.page_texts(link.patient.language)["paper_wrong"]
        return _render(request, link, "paper", context, 422)
    try:
        return pdf_response(storage.read_file(document), name=file_name(document), kept=False)
    except storage.FileLost:
        return _old(request, link)


def _ask(request: HttpRequest, subject: Subject, *, error: str = "", status: int = 200) -> HttpResponse:
    link, language = subject.link, subject.link.patient.language
    context: dict[str, Any] = {"site": subject.site, "error": error}
    if subject.page == answers.VISIT:
        rows = [_visit_row(visit, language) for visit in subject.visits]
        live = [row for row in rows if row["open"]]
        title = "your_visit" if len(rows) == 1 else "your_visits"
        context |= {"title": title, "rows": rows, "live": live, "seen": _as_shown(subject.visits)}
        return _render(request, link, "visit", context, status)
    if subject.page == answers.REPORT and subject.session is not None:
        day = letters.day_of(subject.session.performed_at, subject.site.tz, language)
        words, ticked = letters.page_texts(language), request.POST.getlist("noticed")
        choices = {
            "title": "report_title",
            "values": {"day": day},
            "noticed": [(key, words[f"report_{key}"], key in ticked) for key in answers.NOTICED],
            "since": [(key, words[f"since_{key}"], request.POST.get("since") == key) for key in answers.SINCE],
            "own_words": request.POST.get("words", ""),
            "words_length": answers.WORDS_LENGTH,
            "bad": [(key, words[f"bad_{key}"], request.POST.get("bad") == key) for key in answers.BAD],
        }
        return _render(request, link, "report", {**context, **choices}, status)
    return _render(request, link, "callback", {**context, "title": "callback_title", "visits": subject.visits}, status)


def _render(
    request: HttpRequest, link: AnswerLink, name: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    response = _page(request, link, name, {**context, "token_of_link": token_of(link)})
    response.status_code = status
    return response


def _answer(request: HttpRequest, subject: Subject) -> HttpResponse:
    try:
        if subject.page == answers.VISIT:
            if request.POST.get("seen") != _as_shown(subject.visits):
                raise InvalidTransition("changed_since")
            answer = answers.confirm(subject)
        elif subject.page == answers.REPORT and subject.session is not None:
            answer = answers.report(
                subject,
                noticed=request.POST.getlist("noticed")[: len(answers.NOTICED)],
                since=request.POST.get("since", ""),
                bad=request.POST.get("bad", ""),
                words=request.POST.get("words", ""),
            )
        else:
            answer = answers.ask_for_a_call(subject)
    except DomainError as refusal:
        texts = letters.page_texts(subject.link.patient.language)
        return _ask(request, subject, error=texts.get(str(refusal), texts["gone"]), status=refusal.status)
    return redirect("answers:answered", token=token_of(subject.link), answer_id=answer.public_id)


@public(_REASON)
@never_cache
@require_safe
@with_link
def answered(request: HttpRequest, subject: Subject, answer_id: UUID) -> HttpResponse:
    """What follows from the answer: urgent advice at once where there is a red flag."""
    answer = Answer.objects.filter(link=subject.link, public_id=answer_id).select_related("appointment__site").first()
    if answer is None:
        raise Http404
    language = subject.link.patient.language
    ahead = (
        Appointment.objects.filter(
            patient=subject.link.patient, status=AppointmentStatus.BOOKED, starts_at__gt=timezone.now()
        )
        .select_related("site")
        .order_by("starts_at")
        .first()
    )
    context: dict[str, Any] = {
        "site": subject.site,
        "answer": answer,
        "next": _visit_row(ahead, language) if ahead else None,
        "title": {
            AnswerKind.CONFIRM: "confirmed_title",
            AnswerKind.MOVE: "moved_title",
            AnswerKind.CANCEL: "cancelled_title",
            AnswerKind.REPORT: "fine_title",
            AnswerKind.CALLBACK: "confirmed_title",
        }[AnswerKind(answer.kind)],
        "body": {
            AnswerKind.CONFIRM: "confirmed",
            AnswerKind.MOVE: "moved",
            AnswerKind.CANCEL: "cancelled",
            AnswerKind.CALLBACK: "callback_done",
        }.get(AnswerKind(answer.kind), ""),
    }
    if answer.kind == AnswerKind.REPORT:
        if answer.urgency in (Urgency.SAME_DAY, Urgency.IMMEDIATELY, Urgency.EMERGENCY):
            why = {Urgency.SAME_DAY: "", Urgency.IMMEDIATELY: "_now", Urgency.EMERGENCY: "_emergency"}
            title = f"urgent_{answer.urgency}"
            return _page(
                request,
                subject.link,
                "urgent",
                {**context, "title": title, "why": f"urgent_why{why[Urgency(answer.urgency)]}"},
            )
        if answer.urgency == Urgency.OUTSIDE:
            context["body"] = "outside"
        else:
            context["body"] = "fine" if answer.said["noticed"] == ["nothing"] else "expected"
        context["advice"] = ["advice_bruise"] if "bruise" in answer.said["noticed"] else []
        context["advice"] += ["advice_medicines", "advice_wash"]
    return _page(request, subject.link, "answered", context)


def _own_visit(subject: Subject, visit_id: UUID) -> Appointment:
    visit = next((visit for visit in subject.visits if visit.public_id == visit_id), None)
    if visit is None:
        raise Http404
    return visit


@public(_REASON)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@with_link
def move(request: HttpRequest, subject: Subject, visit_id: UUID) -> HttpResponse:
    visit = _own_visit(subject, visit_id)
    texts = letters.page_texts(subject.link.patient.language)
    error = ""
    if request.method == "POST" and request.POST.get("seen") != _as_shown([visit]):
        error = texts["changed_since"]
    elif request.method == "POST":
        try:
            wish = request.POST.get("time", "")
            at = None if wish == "call" else datetime.fromisoformat(wish)
            if at and not 1901 <= at.year < 2199:
                raise ValueError(wish)
            answer = answers.ask_for_another_time(subject, visit=visit, starts_at=at)
        except (ValueError, TypeError):
            error = texts["move_title"]
        except DomainError:
            error = texts["gone"]
        else:
            return redirect("answers:answered", token=token_of(subject.link), answer_id=answer.public_id)
    language, tz = subject.link.patient.language, visit.site.tz
    open_still = visit.status in AppointmentStatus.OPEN_TO_A_WISH
    slots = [
        {
            "value": at.isoformat(),
            "day": letters.day_of(at, tz, language),
            "time": f"{at.astimezone(tz):%H:%M}",
        }
        for at in (answers.free_times(visit, now=timezone.now()) if open_still else [])
    ]
    context = {"site": visit.site, "title": "move_title", "row": _visit_row(visit, language), "slots": slots}
    context["seen"] = _as_shown([visit])
    return _render(request, subject.link, "move", {**context, "error": error}, 409 if error else 200)


@public(_REASON)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@with_link
def cancel(request: HttpRequest, subject: Subject, visit_id: UUID) -> HttpResponse:
    visit = _own_visit(subject, visit_id)
    language = subject.link.patient.language
    error = ""
    done = subject.link.answers.filter(kind=AnswerKind.CANCEL, appointment=visit)  # tapped twice, it is one answer
    if request.method == "POST" and request.POST.get("seen") != _as_shown([visit]) and not done.exists():
        error = letters.page_texts(language)["changed_since"]
    elif request.method == "POST":
        try:
            answer = answers.cancel(subject, visit=visit)
        except DomainError:
            error = letters.page_texts(language)["gone"]
        else:
            return redirect("answers:answered", token=token_of(subject.link), answer_id=answer.public_id)
    context = {"site": visit.site, "title": "cancel_title", "row": _visit_row(visit, language), "error": error}
    context["seen"] = _as_shown([visit])
    return _render(request, subject.link, "cancel", context, 409 if error else 200)


@public(_REASON)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@with_link
def choose(request: HttpRequest, subject: Subject) -> HttpResponse:
    names = ("reminders", "questions", "offers")
    saved = False
    if request.method == "POST":
        answers.choose_mails(subject.link, **{name: name in request.POST for name in names})
        saved = True
    choice = MailPreference.objects.filter(patient=subject.link.patient).first()
    words = letters.page_texts(subject.link.patient.language)
    rows = [(name, words[f"prefs_{name}"], choice is None or getattr(choice, name)) for name in names]
    return _render(request, subject.link, "choose", {"title": "prefs_title", "rows": rows, "saved": saved})


@public("one-click unsubscribe (RFC 8058): the mail program posts here without a cookie; the link is the permission")
@never_cache
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@with_link
def stop(request: HttpRequest, subject: Subject) -> HttpResponse:
    if request.method == "POST":
        answers.stop_mails(subject.link)
    title = "stopped_title" if request.method == "POST" else "stop_title"
    return _render(request, subject.link, "stop", {"title": title, "done": request.method == "POST"})
