"""Where things stand on the calendar: plain Python, no Django. Instants go in; minutes, lanes and CSS classes come out.

The page may carry no ``style``, so a place is a pair of classes that static/css/calendar-grid.css knows: ``t3 u20`` is
three hours and twenty minutes below the top, ``l0 k38`` is 38 minutes long, ``o2 n1`` is the second of two lanes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

LANES_AT_MOST = 8  # that the style sheet knows
SHORTEST = 17  # minutes: a shorter visit is drawn as long as this, so that a finger finds it


class Mark(NamedTuple):
    """A line across the grid: a whole hour of the wall clock."""

    minute: int
    text: str
    again: bool  # the clocks repeat this hour: it is the second time


class Span(NamedTuple):
    """[start, end) in minutes from the top of the grid."""

    start: int
    end: int


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return the instant at which the day begins there, in UTC."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def length_of(day: date, zone: tzinfo) -> timedelta:
    """Return 23, 24 or 25 hours; at Lord Howe a half more or less."""
    return midnight(day + timedelta(days=1), zone) - midnight(day, zone)


def is_again(at: datetime, zone: tzinfo) -> bool:
    """Return whether the wall clock shows this time for the second time."""
    return at.astimezone(zone).fold == 1


def wall(at: datetime, zone: tzinfo) -> str:
    """Say the wall time, 09:00; and where the clocks show a time twice, 02:30 CEST and 02:30 CET."""
    local = at.astimezone(zone)
    text = f"{local:%H:%M}"
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        return f"{text} {local.tzname()}"
    return text


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The hours down the side, from one whole hour of the wall clock to another.

    With a ``day`` its minutes are elapsed ones, so that a day on which the clocks change is as long as it is. Without,
    several days stand side by side, and a minute is one of the wall clock.
    """

    zone: tzinfo
    first: int
    last: int
    day: date | None = None

    @property
    def begins(self) -> datetime:
        """The instant at the top; a ``ValueError`` where several days stand side by side."""
        return self._instant(self.first)

    @property
    def minutes(self) -> int:
        """How tall the grid is."""
        if self.day is None:
            return (self.last - self.first) * 60
        return _minutes(self._instant(self.last) - self.begins)

    def span(self, start: datetime, end: datetime) -> Span:
        """Return where this lies, cut to what the grid shows."""
        if self.day is not None:
            top, bottom = _minutes(start - self.begins), _minutes(end - self.begins)
        else:
            first, last = start.astimezone(self.zone), end.astimezone(self.zone)
            top = (first.hour - self.first) * 60 + first.minute
            bottom = (last.hour - self.first) * 60 + last.minute
            if last.date() > first.date() or bottom <= top:  # past midnight, or the clocks went back meanwhile
                bottom = top + _minutes(end - start)
        return Span(min(max(top, 0), self.minutes), min(max(bottom, 0), self.minutes))

    def of_hours(self, day: date, starts: time, ends: time) -> Span:
        """Return where a block of working hours of that day lies."""
        return self.span(
            datetime.combine(day, starts, tzinfo=self.zone).astimezone(UTC),
            datetime.combine(day, ends, tzinfo=self.zone).astimezone(UTC),
        )

    def marks(self) -> list[Mark]:
        """Return the lines of whole hours."""
        if self.day is None:
            return [Mark((hour - self.first) * 60, f"{hour:02}:00", False) for hour in range(self.first, self.last)]
        found, at = [], self.begins
        while at < self._instant(self.last):
            local = at.astimezone(self.zone)
            if local.minute == 0:
                found.append(Mark(_minutes(at - self.begins), wall(at, self.zone), is_again(at, self.zone)))
            at += timedelta(minutes=30)
        return found

    def _instant(self, hour: int) -> datetime:
        if self.day is None:
            raise ValueError("the hours of several days have no instant")
        days, hour = divmod(hour, 24)
        return datetime.combine(self.day + timedelta(days=days), time(hour), tzinfo=self.zone).astimezone(UTC)


def _minutes(length: timedelta) -> int:
    return int(length.total_seconds() // 60)


def hours_to_show(walls: Iterable[tuple[datetime, datetime]], *, usual: tuple[int, int] = (8, 18)) -> tuple[int, int]:
    """Return the whole hours that hold all of these wall times, of one day each."""
    first, last = 24, 0
    for start, end in walls:
        first = min(first, start.hour)
        past = end.date() > start.date()
        last = max(last, 24 if past else end.hour + (end.minute > 0))
    return (first, last) if first < last else usual


# ------------------------------------------------------------------ classes


def place(span: Span) -> str:
    """Return the classes of something that begins and ends there."""
    return f"t{span.start // 60} u{span.start % 60} {tall(span.end - span.start)}"


def tall(minutes: int) -> str:
    """Return the classes of something so long."""
    return f"l{minutes // 60} k{minutes % 60}"


def lane(of: tuple[int, int]) -> str:
    """Return the classes of a lane; nothing for what stands alone."""
    which, count = of
    return "" if count == 1 else f" o{min(count, LANES_AT_MOST)} n{which % LANES_AT_MOST}"


# ------------------------------------------------------------------ side by side, free, outside


def lanes(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Return (lane, how many) for each: those that overlap, directly or by way of others, share the width."""
    placed: list[tuple[int, int]] = [(0, 1)] * len(spans)
    group: list[tuple[int, int]] = []  # (index, lane) of what hangs together
    ends: list[int] = []  # where each lane of the group is free again

    def close() -> None:
        for index, which in group:
            placed[index] = (which, len(ends))
        group.clear()
        ends.clear()

    for index in sorted(range(len(spans)), key=lambda at: (spans[at].start, -spans[at].end, at)):
        start, end = spans[index].start, max(spans[index].end, spans[index].start + SHORTEST)
        if ends and start >= max(ends):
            close()
        which = next((which for which, until in enumerate(ends) if until <= start), len(ends))
        if which == len(ends):
            ends.append(end)
        else:
            ends[which] = end
        group.append((index, which))
    close()
    return placed


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, those that touch or overlap as one, the empty ones left out."""
    found: list[Span] = []
    for span in sorted(span for span in spans if span.start < span.end):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def without(whole: Iterable[Span], taken: Iterable[Span], *, least: int = 1) -> list[Span]:
    """Return what is left of ``whole`` beside what is taken, in pieces of at least so many minutes."""
    busy, left = merged(taken), []
    for span in merged(whole):
        at = span.start
        for other in busy:
            if other.end <= at or other.start >= span.end:
                continue
            if other.start - at >= least:
                left.append(Span(at, other.start))
            at = max(at, other.end)
        if span.end - at >= least:
            left.append(Span(at, span.end))
    return left


def path(spans: Iterable[Span], *, height: int) -> str:
    """Draw the spans as one: bars along a line of minutes."""
    return "".join(f"M{span.start} 0h{span.end - span.start}v{height}H{span.start}z" for span in merged(spans))
