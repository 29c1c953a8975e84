"""The course on a time axis: sessions, windows, checkpoints, today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, Unpack

from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from mesoclinic.ui import days
from mesoclinic.ui.drawing import Paper, coordinate, frame

AXIS_BOX = (960.0, 208.0)
AXIS_START, AXIS_WIDTH = 56.0, 864.0
WORDS_OF_STATE = {
    "done": _("done"),
    "booked": _("booked"),
    "planned": _("planned"),
    "missed": _("missed"),
}
WORDS_OF_REVIEW = {
    "first_review": _("first review"),
    "decision_review": _("decision"),
    "end_of_course": _("end review"),
}


def axis_x(day: float, weeks: int) -> float:
    return AXIS_START + day * AXIS_WIDTH / (7 * weeks)


def course_axis(
    course: Mapping[str, Any],
    *,
    dates: Iterable[Mapping[str, Any]] | None = None,
    today: date | None = None,
    windows: bool = True,
    label: Any = "",
    **paper: Unpack[Paper],
) -> dict[str, Any]:
    """``dates``: of booked or held sessions, each with number, starts_at (or date) and maybe state.

    Without dates the axis counts days from the first session. Leave out ``today`` on paper.
    """
    offsets = [int(day) for day in course["offsets_days"]]
    spans = _windows(course.get("windows_days"), len(offsets))
    known = {int(entry["number"]): entry for entry in (dates if dates is not None else course.get("dates") or ())}
    start = _start_of(known, offsets)

    sessions = _sessions(offsets, spans, known, start)
    checkpoints = _checkpoints(course.get("checkpoints"), offsets, sessions, start)
    last = max([session["offset"] for session in sessions] + [point["offset"] for point in checkpoints])
    weeks = max(last // 7 + 1 + (last % 7 > 0), 4)

    for session in sessions:
        _place_session(session, weeks, start is not None)
    side = 0
    for point in checkpoints:
        side = _place_checkpoint(point, weeks, start, side, sessions)
    gaps = {b - a for a, b in pairwise(offsets)}
    told = _axis_told(sessions, checkpoints, today)
    movable = [session for session in sessions if session["window"] and session["state"] in ("booked", "planned")]
    end = max(session["x"] for session in sessions)
    return {
        **frame(box=AXIS_BOX, told=f"axis{told}", **paper),
        "label": label or _("Course on a time axis"),
        "told": told,
        "weeks": weeks,
        "months": _months(start, weeks) if start else [],
        **_week_ticks(weeks, 4 if gaps == {28} else 5),
        "sessions": sessions,
        "checkpoints": checkpoints,
        "path": f"M56 104H{coordinate(end)}",
        "path_after": f"M{coordinate(end)} 104H{coordinate(max(point['x'] for point in checkpoints))}"
        if checkpoints and max(point["x"] for point in checkpoints) > end
        else "",
        "path_done": _path_done(sessions, weeks, start, today),
        "windows": _brackets(movable, weeks) if windows else [],
        "window_text_x": coordinate(axis_x(movable[-1]["window"][1], weeks) + 12) if windows and movable else "",
        "today": _today(start, today, weeks),
    }


def _sessions(
    offsets: Sequence[int],
    spans: Sequence[tuple[int, int] | None],
    known: Mapping[int, Mapping[str, Any]],
    start: date | None,
) -> list[dict[str, Any]]:
    """Each session with its day, its state and the days within which it falls."""
    sessions: list[dict[str, Any]] = []
    for number, offset in enumerate(offsets, start=1):
        entry = known.get(number)
        when = _day_of(entry) if entry else (start + timedelta(days=offset) if start else None)
        state = str(entry.get("state") or "booked") if entry else "planned"
        sessions.append(
            {
                "number": number,
                "offset": (when - start).days if when and start else offset,
                "state": state if state in WORDS_OF_STATE else "booked",
                "when": when,
                "window": spans[number - 1] if number > 1 and spans else None,
            }
        )
    return sessions


def _start_of(known: Mapping[int, Mapping[str, Any]], offsets: Sequence[int]) -> date | None:
    """The day of the first session; where that one is not booked, the day on which it would lie by the next that is."""
    first = min((number for number in known if number <= len(offsets)), default=None)
    return _day_of(known[first]) - timedelta(days=offsets[first - 1]) if first is not None else None


def _day_of(entry: Mapping[str, Any]) -> date:
    value: str | date = entry.get("date") or entry["starts_at"]
    if isinstance(value, str):
        value = datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
    if isinstance(value, datetime):
        # A moment keeps the zone it was given in; UTC, as the database has it, is shown in the page's.
        in_utc = value.tzinfo is not None and value.utcoffset() == timedelta()
        return (timezone.localtime(value) if in_utc else value).date()
    return value


def _windows(given: Any, count: int) -> list[tuple[int, int] | None]:
    spans: list[tuple[int, int] | None] = []
    for window in given or ():
        if isinstance(window, Mapping):
            low = next(window[key] for key in ("earliest", "min", "from") if key in window)
            high = next(window[key] for key in ("latest", "max", "to") if key in window)
        else:
            low, high = window[0], window[-1]
        spans.append((int(low), int(high)))
    if len(spans) == count - 1:
        spans.insert(0, None)
    return spans if len(spans) == count else []


def _checkpoints(
    given: Any, offsets: list[int], sessions: list[dict[str, Any]], start: date | None
) -> list[dict[str, Any]]:
    points = []
    for entry in given or ():
        after = entry.get("after_session")
        if entry.get("offset_days") is None and not after:
            continue
        offset = int(entry["offset_days"]) if entry.get("offset_days") is not None else offsets[int(after) - 1]
        # A review follows what was really booked, not the plan's ideal day.
        if after and int(after) <= len(sessions):
            offset = sessions[int(after) - 1]["offset"]
        elif start and offset > offsets[-1]:
            offset += sessions[-1]["offset"] - offsets[-1]
        key = str(entry.get("key", ""))
        points.append(
            {
                "key": key,
                "name": entry.get("label") or WORDS_OF_REVIEW.get(key) or key.replace("_", " "),
                "offset": offset,
                "state": "done" if entry.get("state") == "done" or entry.get("done") else "planned",
                "at_session": any(session["offset"] == offset for session in sessions),
            }
        )
    return points


def _place_session(session: dict[str, Any], weeks: int, dated: bool) -> None:
    x = axis_x(session["offset"], weeks)
    when = session["when"]
    if dated and when:
        top, below = days.written(when), str(WORDS_OF_STATE[session["state"]])
        told = days.written(when, "date")
    else:
        top = _t("Day %(day)d") % {"day": session["offset"]}
        low, high = session["window"] or (session["offset"], session["offset"])
        below = f"{low} – {high}" if low != high else ""
        told = top
    session |= {
        "x": x,
        "cx": coordinate(x),
        "tick": f"M{coordinate(x - 5.5)} 104.5l4 4 7.5-8.5",
        "top": top,
        "below": below,
        "title": _t("Session %(number)d, %(when)s, %(state)s")
        % {"number": session["number"], "when": told, "state": WORDS_OF_STATE[session["state"]]},
    }


def _place_checkpoint(
    point: dict[str, Any], weeks: int, start: date | None, side: int, sessions: list[dict[str, Any]]
) -> int:
    """Under its session where there is one, else on the path; its words go to the freer side. Returns the next side."""
    x = axis_x(point["offset"], weeks)
    point |= {"x": x, "cx": coordinate(x)}
    if not point["at_session"]:
        point["path"] = f"M{coordinate(x)} 92L{coordinate(x + 12)} 104L{coordinate(x)} 116L{coordinate(x - 12)} 104Z"
        if start:
            point["top"] = days.written(start + timedelta(days=point["offset"]))
        else:
            point["top"] = _t("Day %(day)d") % {"day": point["offset"]}
        return side
    left = side == 0 and x - 14 - 7 * len(str(point["name"])) > 4
    point |= {
        "path": f"M{coordinate(x)} 139L{coordinate(x + 9)} 148L{coordinate(x)} 157L{coordinate(x - 9)} 148Z",
        "text_x": coordinate(x - 14 if left else x + 14),
        "anchor": "end" if left else "start",
    }
    return 1


def _months(start: date, weeks: int) -> list[dict[str, Any]]:
    end = start + timedelta(days=7 * weeks)
    months, first, number = [], start, 0
    while first < end:
        following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        left = axis_x((first - start).days, weeks)
        right = axis_x((min(following, end) - start).days, weeks)
        named_year = number == 0 or first.month == 1
        months.append(
            {
                "left": coordinate(left),
                "shade": f"M{coordinate(left)} 24H{coordinate(right)}V168H{coordinate(left)}Z"
                if number % 2 == 0
                else "",
                "rule": number > 0,
                "middle": coordinate((left + right) / 2),
                # A month that shows only a few days has no room for its name.
                "name": days.written(first, "month_year" if named_year and right - left > 70 else "month")
                if right - left > 34
                else "",
            }
        )
        first, number = following, number + 1
    return months


def _week_ticks(weeks: int, step: int) -> dict[str, Any]:
    labelled = list(range(0, weeks - 1, step))
    final = weeks - 1
    if final - labelled[-1] < 3:  # no room for both numbers
        labelled.pop()
    labelled.append(final)
    marks = (f"M{coordinate(axis_x(7 * week, weeks))} 168v{8 if week in labelled else 4}" for week in range(weeks + 1))
    return {
        "ticks": "".join(marks),
        "week_numbers": [
            {"x": coordinate(axis_x(7 * week, weeks)), "text": _t("week 0") if week == 0 else week} for week in labelled
        ],
    }


def _brackets(movable: list[dict[str, Any]], weeks: int) -> list[dict[str, Any]]:
    """One line where they stand apart; three levels in turn where they overlap."""
    spans = [session["window"] for session in movable]
    overlap = any(before[1] >= after[0] for before, after in pairwise(spans))
    brackets = []
    for index, session in enumerate(movable):
        y = (123.5, 128.5, 133.5)[index % 3] if overlap else 128.5
        left, right = (coordinate(axis_x(day, weeks)) for day in session["window"])
        brackets.append(
            {
                "number": session["number"],
                "path": f"M{left} {y + 2.5:g}v-5M{left} {y:g}H{right}M{right} {y + 2.5:g}v-5",
            }
        )
    return brackets


def _path_done(sessions: list[dict[str, Any]], weeks: int, start: date | None, today: date | None) -> str:
    done = [session["x"] for session in sessions if session["state"] == "done"]
    if not done:
        return ""
    reached = done[-1]
    if start and today and len(done) < len(sessions):
        reached = max(reached, min(axis_x((today - start).days, weeks), sessions[len(done)]["x"] - 14))
    return f"M56 104H{coordinate(reached)}"


def _today(start: date | None, today: date | None, weeks: int) -> dict[str, Any] | None:
    if not start or not today or not 0 <= (today - start).days <= 7 * weeks:
        return None
    x = axis_x((today - start).days, weeks)
    left = x > AXIS_BOX[0] - 70
    return {"x": coordinate(x), "text_x": coordinate(x - 7 if left else x + 7), "anchor": "end" if left else "start"}


def _axis_told(sessions: list[dict[str, Any]], checkpoints: list[dict[str, Any]], today: date | None) -> str:
    parts = [str(session["title"]) for session in sessions]
    parts += [f"{point['name']}: {_t('day %(day)d') % {'day': point['offset']}}" for point in checkpoints]
    if today:
        parts.append(_t("today is %(day)s") % {"day": days.written(today, "date")})
    return "; ".join(parts) + "."
