"""Forms over what is stored, which overwrite nothing that their reader has not seen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any, cast

from django import forms
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from mesoclinic.audit.conflicts import Conflict, mark_of, marks_in, marks_of, merged
from mesoclinic.ui import days


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A field that both changed, as the page asks about it."""

    name: str  # of the radio buttons
    label: str
    theirs: str  # in words
    mine: str
    mark: str  # of theirs: a choice counts for what was shown, and for nothing newer


class MergingForm(forms.Form):
    """Sends back what its reader saw. ``stored`` holds the values as ``cleaned_data`` would hold them."""

    def __init__(self, *args: Any, stored: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.stored = dict(stored or {})
        self.clashes: list[Decision] = []
        self._left: set[str] = set()  # decided: theirs stands
        super().__init__(*args, **kwargs)

    @cached_property
    def seen(self) -> dict[str, str]:
        """The marks of what the reader saw, and of what they have decided about since."""
        if not self.is_bound:
            return marks_of(self.stored)
        seen = marks_in(self.data.get(self.seen_name, ""))
        for name, value in self.stored.items():
            side, _dot, mark = str(self.data.get(self.add_prefix(f"keep-{name}"), "")).partition(".")
            if side in ("mine", "theirs") and mark == mark_of(value):
                seen[name] = mark
                if side == "theirs":
                    self._left.add(name)
        return seen

    @property
    def seen_name(self) -> str:
        return self.add_prefix("seen")

    @property
    def seen_text(self) -> str:
        return json.dumps(self.seen, separators=(",", ":")) if self.stored else ""

    def mine(self) -> dict[str, Any]:
        """Return what the reader typed, with what they decided to leave."""
        self.seen  # noqa: B018 - it reads the decisions
        return {
            name: value if name in self._left else self.cleaned_data[name]
            for name, value in self.stored.items()
            if name in self.cleaned_data
        }

    def merge(self) -> None:
        """Take over into ``cleaned_data`` what only others changed. Raise Conflict where both changed a field."""
        changes = merged(self.stored, self.mine(), seen=self.seen)
        for name, value in self.stored.items():
            if name in self.cleaned_data and name not in changes:
                self.cleaned_data[name] = value

    def ask(self, conflict: Conflict) -> None:
        """Show theirs beside mine, and in every other field what is stored now."""
        mine = self.mine()
        self.data = self.data.copy()  # type: ignore[attr-defined]
        both = {clash.field: clash for clash in conflict.clashes}
        for name, now in conflict.stored.items():
            if name not in self.fields:
                continue
            if clash := both.get(name):
                self.clashes.append(
                    Decision(
                        name=self.add_prefix(f"keep-{name}"),
                        label=str(self.fields[name].label),
                        theirs=self._in_words(name, now),
                        mine=self._in_words(name, clash.mine),
                        mark=mark_of(now),
                    )
                )
            elif name in mine and mark_of(mine[name]) in (self.seen.get(name), mark_of(now)):
                self._put(name, now)
                self.seen[name] = mark_of(now)
        self.add_error(None, str(conflict))
        for name in both:
            if name in self.fields:
                self.add_error(name, _("Somebody else changed this as well. Choose above what shall stand."))

    def _put(self, name: str, value: Any) -> None:
        key, field, data = self.add_prefix(name), self.fields[name], cast(QueryDict, self.data)
        if isinstance(field, forms.BooleanField):
            data.pop(key, None)
            if value:
                data[key] = "on"
        elif isinstance(field, forms.MultipleChoiceField | forms.ModelMultipleChoiceField):
            data.setlist(key, [str(each) for each in field.prepare_value(value) or ()])
        else:
            shown = field.prepare_value(value)
            if not isinstance(field.widget, forms.widgets.ChoiceWidget):
                shown = field.widget.format_value(shown)
            data[key] = "" if shown is None else str(shown)

    def _in_words(self, name: str, value: Any) -> str:
        field = self.fields[name]
        if isinstance(value, bool):
            return _("Yes") if value else _("No")
        if isinstance(value, date):
            return days.written(value, "year")
        if isinstance(value, time):
            return f"{value:%H:%M}"
        if isinstance(value, QuerySet | list | tuple | set):
            return ", ".join(self._choice(field, each) for each in value) or _("nothing")
        return self._choice(field, value) or _("nothing")

    @staticmethod
    def _choice(field: forms.Field, value: Any) -> str:
        choices: Iterable[Any] = getattr(field, "choices", ()) if not hasattr(field, "queryset") else ()
        return next((str(label) for key, label in choices if key == value), "" if value is None else str(value))
