"""Whom and what a person may see, and the questions that pages ask of patients and intakes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from difflib import SequenceMatcher
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Case, Count, Exists, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mesoclinic.accounts.models import Site, User
from patients import search as searching
from patients.intakes import UNKNOWN, intake_vocabulary, settled_over, short_label
from patients.models import (
    DayCheck,
    Intake,
    IntakeReview,
    IntakeStatus,
    Patient,
    PatientMerge,
    PatientStatus,
    Statement,
)
from patients.settled import SettledFact
from patients.statements import facts_of, statements_of
from patients.texts import spoken_vocabulary


def patients_visible_to(user: User) -> QuerySet[Patient]:
    """The patients of the person's own sites."""
    return Patient.objects.filter(site__in=user.site_ids).select_related("site")


def patients_seen_by(user: User) -> QuerySet[Patient]:
    """Whom the person may open: the patients of their own sites, and those who have visits there.

    Lists are of the own sites (``patients_visible_to``); this is for one record at a time.
    """
    return Patient.objects.filter(seen_by(user)).select_related("site", "merged_into")


def seen_by(user: User, prefix: str = "") -> Q:
    """The condition that the user may open a patient's record; ``prefix`` leads to it, as in ``patient__``."""
    guests = import_string(settings.SEEN_ELSEWHERE)(user, "patient")
    return Q(**{f"{prefix}site__in": user.site_ids}) | Q(**{f"{prefix}pk__in": guests})


def is_seen_by(patient: Patient, user: User) -> bool:
    """Whether the user may open this record. Asks the database only for a patient of another site."""
    return patient.site_id in user.site_ids or patients_seen_by(user).filter(pk=patient.pk).exists()


def intakes_visible_to(user: User) -> QuerySet[Intake]:
    return Intake.objects.filter(seen_by(user, "patient__")).select_related(
        "patient__site", "started_by", "saved_by", "submitted_by"
    )


def visible_person_ids(user: User) -> QuerySet[Patient, UUID]:
    """For the platform, which knows no patient: the public ids of those whom the person may see."""
    return Patient.objects.filter(seen_by(user)).values_list("public_id", flat=True)


def search(patients: QuerySet[Patient], query: str) -> QuerySet[Patient]:
    """Those of ``patients`` whom ``query`` finds; all of them where it is too short to search by."""
    condition = searching.condition(query)
    return patients if condition is None else patients.filter(condition)


def person_ids_found(user: User, query: str) -> QuerySet[Patient, UUID] | None:
    """For the platform: the public ids of those whom ``query`` finds; None where it is too short to search by."""
    condition = searching.condition(query)
    return (
        None
        if condition is None
        else Patient.objects.filter(seen_by(user), condition).values_list("public_id", flat=True)
    )


NEAR_AT_MOST = 400  # candidates that are compared letter by letter
NEAR_ENOUGH = 0.78


def ranked(patients: QuerySet[Patient], query: str) -> QuerySet[Patient]:
    """The likeliest first: the number typed, names that begin so, in the clinic's care before others."""
    away = Case(When(status=PatientStatus.ACTIVE, then=0), default=1, output_field=IntegerField())
    return patients.annotate(rank=searching.rank(query), away=away).order_by("rank", "away", "search_key", "number")


RANKED_AT_MOST = 20_000  # of those found, as far as all are ranked while somebody waits


def likeliest(patients: QuerySet[Patient], query: str, *, limit: int) -> list[Patient]:
    """The first ``limit`` of ``ranked``; where too many are found to rank them all, nearly so.

    Then PostgreSQL reads an index in its order and stops when it has enough: first those whose family name begins so.
    Two queries there, one on SQLite, however many are found.
    """
    found = search(patients, query)
    everybody = ranked(found, query)
    if connection.vendor != "postgresql" or not found.order_by()[RANKED_AT_MOST : RANKED_AT_MOST + 1].exists():
        return list(everybody[:limit])
    in_care = Q(status=PatientStatus.ACTIVE)
    begins = searching.rank_conditions(query).get(searching.BEGINS_SO, Q(pk__in=[]))
    enough = Exists(found.filter(begins & in_care)[limit - 1 : limit])
    parts = [
        found.filter(begins & in_care),
        *(found.filter(~enough & condition) for condition in (begins & ~in_care, in_care, ~in_care)),
    ]
    firsts = [everybody.filter(pk__in=part.order_by("search_key", "number").values("pk")[:limit]) for part in parts]
    together = firsts[0].order_by().union(*(part.order_by() for part in firsts[1:]))
    return sorted(together, key=lambda p: (p.rank, p.away, p.search_key, p.number))[:limit]  # type: ignore[attr-defined]


def near_spellings(patients: QuerySet[Patient], query: str, *, limit: int = 8) -> list[Patient]:
    """Those whose names are spelt nearly as ``query``, the likeliest first."""
    words = searching.words_of(query)
    condition = searching.near_condition(words)
    if condition is None:
        return []
    found = []
    for patient in _near_candidates(patients, condition, words):
        likeness = searching.likeness(words, patient.name)
        if likeness >= NEAR_ENOUGH:
            found.append((-likeness, patient.search_key, patient.pk, patient))
    return [patient for *_order, patient in sorted(found, key=lambda row: row[:3])][:limit]


def _near_candidates(patients: QuerySet[Patient], condition: Q, words: Sequence[str]) -> QuerySet[Patient]:
    """Whom to compare letter by letter: those whose family name begins alike first, in case there are too many."""
    alike = Q(pk__in=[])
    for word in words:
        alike |= Q(search_key__startswith=word[:3])
    order = Case(When(alike, then=0), default=1, output_field=IntegerField())
    return patients.filter(condition).order_by(order, "search_key", "number")[:NEAR_AT_MOST]


@dataclass(frozen=True, kw_only=True)
class Found:
    patients: tuple[Patient, ...]
    is_near: bool  # nobody is spelt so; these nearly are
    too_short: bool


def find(user: User, query: str, *, limit: int = 8) -> Found:
    """The likeliest people for what somebody types into the search box."""
    visible = patients_visible_to(user)
    if searching.condition(query) is None:
        return Found(patients=(), is_near=False, too_short=True)
    exact = tuple(likeliest(visible, query, limit=limit))
    guests = search(patients_seen_by(user), query).exclude(site__in=user.site_ids)
    exact = (*exact, *guests.order_by("search_key", "number")[:limit])[:limit]  # one query more, however many are found
    near = () if exact else tuple(near_spellings(visible, query, limit=limit))
    return Found(patients=exact or near, is_near=not exact and bool(near), too_short=False)


def status_counts(patients: QuerySet[Patient], *, site: Site | None) -> dict[str, int]:
    """How many of ``patients`` there are of each status, at one site or at all."""
    if site is not None:
        patients = patients.filter(site=site)
    return dict(patients.order_by().values_list("status").annotate(people=Count("*")))


def in_this_order(patients: QuerySet[Patient], keys: Iterable[int]) -> list[Patient]:
    """Those with these primary keys, with their intake dates. Found by their keys alone, pages far back stay cheap."""
    order = list(keys)
    found = {patient.pk: patient for patient in with_intake_dates(patients.filter(pk__in=order))}
    return [found[key] for key in order if key in found]


def with_intake_dates(patients: QuerySet[Patient]) -> QuerySet[Patient]:
    """Each with ``last_intake_at`` and ``has_intake_draft``, in the same query."""
    mine = Intake.objects.filter(patient=OuterRef("pk"))
    submitted = mine.filter(status=IntakeStatus.SUBMITTED).order_by("-number")
    return patients.annotate(
        last_intake_at=Subquery(submitted.values("submitted_at")[:1]),
        has_intake_draft=Exists(mine.filter(status=IntakeStatus.DRAFT)),
    )


def may_be_mailed(patient: Patient) -> bool:
    """True where the clinic may write to this person: in its care, agreed, with an address."""
    return patient.status == PatientStatus.ACTIVE and patient.contact_allowed and bool(patient.email)


def mailable(patients: QuerySet[Patient]) -> QuerySet[Patient]:
    """Those of ``patients`` for whom ``may_be_mailed`` holds."""
    return patients.filter(status=PatientStatus.ACTIVE, contact_allowed=True).exclude(email="")


def records_of(patient: Patient) -> QuerySet[Patient]:
    """Every record of the person, whichever of them is given: the one that remains and those merged into it.

    What was signed stays where it was written: read all of them.
    """
    remains = patient.merged_into_id or patient.pk
    return Patient.objects.filter(Q(pk=remains) | Q(merged_into=remains))


def in_care(prefix: str = "") -> Q:
    """The condition that a person is in the clinic's care; ``prefix`` leads to the record, as in ``patient__``.

    A record that was merged counts as the one that remains.
    """
    own = Q(**{f"{prefix}status": PatientStatus.ACTIVE})
    remains = {f"{prefix}status": PatientStatus.MERGED, f"{prefix}merged_into__status": PatientStatus.ACTIVE}
    return own | Q(**remains)


def remaining_record(patient: Patient) -> Patient:
    """The record that stands for the person: this one, or the one it was merged into."""
    return patient.merged_into or patient


def standing_merges(patient: Patient) -> QuerySet[PatientMerge]:
    """The merges that this record takes part in, on either side."""
    return PatientMerge.objects.filter(
        Q(merged=patient.pk) | Q(kept=patient.pk), undone_at__isnull=True
    ).select_related("merged__site", "kept__site", "merged_by")


MERGED_UNASKED = gettext_lazy("These records were merged; fill in an intake for the whole person first.")


def merged_unasked(patient: Patient) -> bool:
    """Whether a record with answers of its own was merged into this one, and no intake was begun for both since.

    The later of two intakes may be silent about what only the earlier one names: an allergy, a medicine.
    """
    if not patient.holds_merged_records:
        return False
    brought = PatientMerge.objects.filter(
        kept=patient.pk, undone_at__isnull=True, merged__intakes__status=IntakeStatus.SUBMITTED
    ).aggregate(last=Max("merged_at"))["last"]
    if brought is None:
        return False
    return not patient.intakes.filter(status=IntakeStatus.SUBMITTED, started_at__gt=brought).exists()


def newest_submitted_intake(patient: Patient) -> Intake | None:
    """The newest answers of the person, also where they were given under a record that was merged into this one."""
    intake = (
        Intake.objects.filter(patient__in=records_of(patient), status=IntakeStatus.SUBMITTED)
        .order_by("-submitted_at", "-pk")
        .first()
    )
    if intake is not None:
        intake.patient = patient
    return intake


def joined_intakes(intake: Intake) -> list[Intake]:
    """The last answers under each record that was merged into this one's patient before it was begun, oldest first."""
    if not intake.patient.holds_merged_records:
        return []
    begun = intake.started_at
    found = Intake.objects.filter(
        patient__in=PatientMerge.objects.filter(
            kept=intake.patient_id, undone_at__isnull=True, merged_at__lt=begun
        ).values("merged"),
        status=IntakeStatus.SUBMITTED,
    )
    last = {row.patient_id: row for row in found.select_related("patient").order_by("submitted_at", "pk")}
    return list(last.values())


def day_checks_on(day: date, *, patients: Collection[int], tz: tzinfo) -> dict[int, DayCheck]:
    """By patient the last “anything changed?” of that day of the site, in one query."""
    begins, ends = (datetime.combine(day + timedelta(days=n), time.min, tzinfo=tz) for n in (0, 1))
    checks = DayCheck.objects.filter(patient__in=patients, asked_at__gte=begins, asked_at__lt=ends)
    return {check.patient_id: check for check in checks.select_related("asked_by", "intake").order_by("asked_at", "pk")}


def review_of(intake: Intake) -> IntakeReview | None:
    return IntakeReview.objects.filter(intake=intake).select_related("reviewed_by").first()


def latest_submitted_intake(patient: Patient) -> Intake | None:
    intake = patient.intakes.filter(status=IntakeStatus.SUBMITTED).order_by("-number").first()
    if intake is not None:
        intake.patient = patient
    return intake


def intake_draft(patient: Patient) -> Intake | None:
    return patient.intakes.filter(status=IntakeStatus.DRAFT).first()


def intake_before(intake: Intake) -> Intake | None:
    """The submitted intake that this one supersedes."""
    records = Patient.objects.filter(Q(pk=intake.patient_id) | Q(merged_into=intake.patient_id))
    submitted = Intake.objects.filter(patient__in=records, status=IntakeStatus.SUBMITTED)
    if intake.submitted_at is not None:
        submitted = submitted.filter(submitted_at__lt=intake.submitted_at)
    return submitted.exclude(pk=intake.pk).order_by("-submitted_at", "-pk").first()


# ------------------------------------------------------------------ the strip over every page about one patient


@dataclass(frozen=True, kw_only=True)
class Chip:
    kind: str  # ok | warn | danger | info | ""
    text: str
    asks: bool = False  # says that something was not asked


@dataclass(frozen=True, kw_only=True)
class Strip:
    public_id: UUID
    name: str
    initials: str
    birth_date: date
    age: int
    sex: str
    number: str
    status: str  # "" while the person is in the clinic's care
    chips: tuple[Chip, ...]
    merged_into: Patient | None = None
    merged_records: tuple[Patient, ...] = ()
    said: tuple[Statement, ...] = ()  # in words, not settled
    has_said: bool = False  # anything in words, settled or not
    standing: Any = None  # whether the person may be treated, as the reader may see it; see settings.STANDING_BAND


def strip(patient: Patient, *, user: User | None = None) -> Strip:
    """Return who it is, and what must not be missed. Age is that of today where the patient is treated.

    What was said in words counts as what it was settled as; what nobody settled stands there as it was said.
    Every page gives its reader as ``user``: what stands against a treatment is part of it then.
    """
    intake = latest_submitted_intake(patient)
    merged = tuple(patient.merged_records.order_by("number")) if patient.holds_merged_records else ()
    statements = statements_of(patient)
    settled = facts_of(statements)
    chips = open_chips(statements) + allergy_chips(intake, settled=settled) + alert_chips(intake, settled=settled)
    for record in merged:
        chips += _chips_of_merged(record, seen={chip.text for chip in chips})
    return Strip(
        public_id=patient.public_id,
        name=patient.name,
        initials=patient.initials,
        birth_date=patient.birth_date,
        age=patient.age_on(timezone.localdate(timezone=patient.site.tz)),
        sex=patient.get_sex_at_birth_display(),
        number=patient.display_number,
        status="" if patient.status == PatientStatus.ACTIVE else patient.get_status_display(),
        chips=tuple(chips),
        merged_into=patient.merged_into,
        merged_records=merged,
        said=tuple(row for row in statements if row.is_open),
        has_said=bool(statements),
        standing=import_string(settings.STANDING_BAND)(patient, user=user) if user is not None else None,
    )


def _chips_of_merged(record: Patient, *, seen: set[str]) -> list[Chip]:
    """What the other record of the person warns of. What it does not know or denies says nothing about this one."""
    intake = latest_submitted_intake(record)
    if intake is None:
        return []
    return [
        Chip(kind=chip.kind, text=f"{chip.text} ({record.display_number})")
        for chip in allergy_chips(intake) + alert_chips(intake)
        if chip.kind != "ok" and not chip.asks and chip.text not in seen
    ]


SAID_LENGTH = 120  # of the words in a chip


def open_chips(statements: Iterable[Statement]) -> list[Chip]:
    """What was said and nobody has settled, in one chip; none where everything is settled."""
    said = "; ".join(f"“{row.words}”" for row in statements if row.is_open)
    if not said:
        return []
    said = said if len(said) <= SAID_LENGTH else f"{said[: SAID_LENGTH - 1]}…"
    return [Chip(kind="danger", text=_("Not settled: %(words)s") % {"words": said})]


def _chip_facts(intake: Intake | None, settled: Sequence[SettledFact]) -> dict[str, Any]:
    """The answers with what words were settled as, also where the list itself was never answered."""
    facts = settled_over(intake, intake.facts, settled=settled) if intake else {}
    beside: dict[str, Any] = {}
    for row in settled:
        if not isinstance(facts.get(row.fact), list) and isinstance(row.value, str):
            beside.setdefault(row.fact, []).append(row.value)
    return facts | {f"also {key}": values for key, values in beside.items()}


def allergy_chips(intake: Intake | None, *, settled: Sequence[SettledFact] = ()) -> list[Chip]:
    """“None” only where the question was answered so; silence is shown as silence."""
    facts = _chip_facts(intake, settled)
    chips = []
    history = facts.get("anaphylaxis_history")
    if isinstance(history, str) and history != "none":
        known = _("cause unknown") if history == "unknown_cause" else _("cause known")
        chips.append(Chip(kind="danger", text=_("Life-threatening reaction, %(known)s") % {"known": known}))
    allergies, ingredients = facts.get("allergies"), facts.get("allergy_ingredients")
    named = []
    if ticked := _listed(facts, "allergies"):
        fact = spoken_vocabulary().facts["allergies"]
        named += [short_label(fact.label_of(key)) for key in ticked]
    if reacted := _listed(facts, "allergy_ingredients"):
        fact = intake_vocabulary(also=reacted).facts["allergy_ingredients"]
        named += [fact.label_of(key) for key in reacted]
    if named:
        chips.append(Chip(kind="danger", text=_("Allergies: %(names)s") % {"names": ", ".join(named)}))
    other = intake.other_allergies if intake else ""
    if other:
        text = other if len(other) <= 80 else f"{other[:79]}…"
        chips.append(Chip(kind="danger", text=_("In words: %(text)s") % {"text": " ".join(text.split())}))
    if allergies is None:
        chips.append(Chip(kind="warn", text=_("Allergies not asked"), asks=True))
    elif allergies == UNKNOWN:
        chips.append(Chip(kind="warn", text=_("Allergies: not known"), asks=True))
    elif not named and not other:
        chips.append(Chip(kind="ok", text=_("Allergies: none")))
    if intake is not None and ingredients is None:
        chips.append(Chip(kind="warn", text=_("Reactions to ingredients not asked"), asks=True))
    return chips


def _listed(facts: dict[str, Any], key: str) -> list[str]:
    """The values of a list: those answered, or those that words were settled as where nobody answered it."""
    answered = facts.get(key)
    return answered if isinstance(answered, list) else facts.get(f"also {key}", [])


# What a glance at the header must tell besides allergies. What it means for a plan is the formulary's to say.
_BLEEDING = frozenset(
    {
        "vitamin_k_antagonist",
        "doac",
        "heparin",
        "antiplatelet_single",
        "antiplatelet_dual",
        "nsaid_regular",
        "herbal_bleeding_risk",
    }
)


def alert_chips(intake: Intake | None, *, settled: Sequence[SettledFact] = ()) -> list[Chip]:
    if intake is None:
        return [Chip(kind="", text=_("No intake yet"))]
    facts, vocabulary = _chip_facts(intake, settled), spoken_vocabulary()
    chips = []
    if facts.get("pregnancy_status") in ("pregnant", "possible", "trying"):
        label = vocabulary.facts["pregnancy_status"].label_of(facts["pregnancy_status"])
        chips.append(Chip(kind="danger", text=label))
    if facts.get("lactating") is True:
        chips.append(Chip(kind="danger", text=_("Breast-feeding")))
    if facts.get("previous_mesotherapy_reaction") == "serious":
        chips.append(Chip(kind="danger", text=_("Serious reaction to such injections before")))
    for key, lead in (("medications", _("Takes: %(names)s")), ("conditions", _("Has or had: %(names)s"))):
        if values := _listed(facts, key):
            names = ", ".join(short_label(vocabulary.facts[key].label_of(value)) for value in values)
            kind = "warn" if key == "conditions" or _BLEEDING & set(values) else ""
            chips.append(Chip(kind=kind, text=lead % {"names": names}))
    return chips


# ------------------------------------------------------------------ the same person twice?


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    patient: Patient
    reasons: tuple[str, ...]


NEARLY_THE_SAME = 0.86


def possible_duplicates(
    user: User,
    *,
    given_name: str = "",
    family_name: str = "",
    birth_date: date | None = None,
    email: str = "",
    phone: str = "",
    limit: int = 5,
) -> list[Duplicate]:
    """Visible patients who may be the same person, the likeliest first, each with the reasons in words."""
    names = searching.fold_name(f"{given_name} {family_name}").split()
    number = searching.digits(phone).lstrip("0")[-9:]
    email = email.strip().lower()
    candidates = Q()
    if birth_date:
        candidates |= Q(birth_date=birth_date)
    if len(number) >= 6:
        candidates |= Q(search_key__contains=number)
    if email:
        candidates |= Q(lower_email=email)
    if len(names) >= 2:
        same_name = Q()
        for name in names:
            same_name &= searching.holds(name)
        candidates |= same_name
    near = searching.near_condition(names) if len(names) >= 2 else None
    if not candidates:
        return []
    visible = patients_visible_to(user)
    sought = visible.alias(lower_email=Lower("email")).filter(candidates)
    compared: dict[int, Patient] = {patient.pk: patient for patient in sought.order_by("-pk")[:200]}
    if near is not None:
        compared |= {patient.pk: patient for patient in _near_candidates(visible, near, names)}
    found = []
    typed = " ".join(sorted(names))
    for patient in compared.values():
        theirs = searching.fold_name(patient.name).split()
        likeness = SequenceMatcher(None, typed, " ".join(sorted(theirs))).ratio()
        similar = likeness >= 0.75 or bool(names and set(names) <= set(theirs))
        reasons = []
        score = likeness
        if birth_date and birth_date == patient.birth_date and (similar or set(names) & set(theirs)):
            reasons.append(_("same birth date, similar name"))
            score += 2
        elif names and set(names) == set(theirs):
            reasons.append(_("same name"))
        elif len(names) >= 2 and searching.likeness(names, patient.name) >= NEARLY_THE_SAME:
            reasons.append(_("nearly the same name"))
        if email and patient.email.lower() == email:
            reasons.append(_("same e-mail"))
            score += 1
        if len(number) >= 6 and searching.digits(patient.phone).endswith(number):
            reasons.append(_("same phone"))
            score += 1
        if reasons:
            found.append((-score, patient.pk, Duplicate(patient=patient, reasons=tuple(reasons))))
    return [duplicate for _score, _pk, duplicate in sorted(found, key=lambda row: row[:2])][:limit]


def registered_from(key: UUID | None, *, user: User) -> Patient | None:
    """Return the record that a page made when it was sent before, if there is one and the user may see it."""
    return patients_seen_by(user).filter(registration_keys__key=key).first() if key else None
