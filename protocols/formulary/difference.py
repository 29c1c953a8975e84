"""What one formulary version says otherwise than another, in words that a medical director can check line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mesoclinic.core.numbers import shown_number
from protocols.engine.inputs.formulary import Rule
from protocols.formulary.catalogue import Catalogue, Source
from protocols.formulary.reach import tests_of
from protocols.formulary.words import BASIS_NAMES, DIRECTION_NAMES, FLAG_NAMES, PAIR_NAMES, SEVERITY_NAMES

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
KIND_NAMES: Mapping[str, Any] = {
    ADDED: gettext_lazy("New"),
    REMOVED: gettext_lazy("Gone"),
    CHANGED: gettext_lazy("Changed"),
}
TEXTS_OF_RULE = (
    ("message", gettext_lazy("Message")),
    ("rationale", gettext_lazy("Reason")),
    ("until", gettext_lazy("Until")),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One entry that differs, with a sentence for each thing that does."""

    kind: str
    key: str
    name: str
    lines: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()

    @property
    def kind_name(self) -> Any:
        return KIND_NAMES[self.kind]


@dataclass(frozen=True, kw_only=True)
class Part:
    key: str
    label: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Note:
    """A line of the release on what changed and why it matters, with the entries that it is about."""

    text: str
    about: tuple[str, ...]


def differences(old: Catalogue, new: Catalogue) -> list[Part]:
    """Return what the new version says otherwise, part by part; a part without a difference is left out."""
    compare = _Comparison(old, new)
    parts = (
        Part(key="rules", label=_("Screening rules"), rows=tuple(compare.rules())),
        Part(key="questions", label=_("Questions of the intake"), rows=tuple(compare.questions())),
        Part(key="causes", label=_("Asked only with a reason"), rows=tuple(compare.causes())),
        Part(key="pairs", label=_("Pairs that clash"), rows=tuple(compare.pairs())),
        Part(key="ingredients", label=_("Ingredients"), rows=tuple(compare.ingredients())),
        Part(key="referrals", label=_("Referrals"), rows=tuple(compare.referrals())),
        Part(key="limits", label=_("Course, composition and prices"), rows=tuple(compare.limits())),
        Part(key="sources", label=_("Sources"), rows=tuple(compare.sources())),
    )
    return [part for part in parts if part.rows]


def release_notes(contents: Catalogue) -> list[Note]:
    """Return what the release itself says of its version, the most important first; nothing for the first version."""
    return [
        Note(text=entry["text"], about=tuple(key for name in ("rules", "pairs") for key in entry.get(name, ())))
        for entry in contents.documents.get("release", {}).get("changes", ())
    ]


class _Comparison:
    def __init__(self, old: Catalogue, new: Catalogue) -> None:
        self.old, self.new = old, new

    # ------------------------------------------------------------------ rules
    def rules(self) -> Iterator[Row]:
        before, after = (_by_key(side.documents["screening"]["rules"]) for side in (self.old, self.new))
        made = [{rule.key: rule for rule in side.formulary.rules} for side in (self.old, self.new)]
        for kind, key, was, now in _paired(before, after):
            entry = now or was
            if kind == CHANGED:
                lines = tuple(self._rule_changes(was, now, made[0][key], made[1][key]))
            else:
                side, rule = (self.new, made[1][key]) if kind == ADDED else (self.old, made[0][key])
                lines = (*_rule_in_words(side, entry, rule),)
            if lines:
                side = self.new if now else self.old
                name = f"{SEVERITY_NAMES[entry['severity']]}: {entry['message']}"
                yield Row(kind=kind, key=key, name=name, lines=lines, sources=side.sources(entry["source_ids"]))

    def _rule_changes(self, was: Mapping[str, Any], now: Mapping[str, Any], before: Rule, after: Rule) -> Iterator[str]:
        if was["severity"] != now["severity"]:
            yield _("Severity: %(old)s, now %(new)s.") % {
                "old": SEVERITY_NAMES[was["severity"]],
                "new": SEVERITY_NAMES[now["severity"]],
            }
        if was["trigger"] != now["trigger"]:
            yield from _moved(
                set(_conditions(self.old, was["trigger"])),
                set(_conditions(self.new, now["trigger"])),
                _("Now also for: %(items)s."),
                _("No longer for: %(items)s."),
                _("The same answers, combined in another way."),
            )
            if now["trigger"].get("all") or was["trigger"].get("all"):
                yield _asked_for(self.new, now["trigger"])
        met, meets = (
            {side.name(key) for key in side.formulary.keys(rule.scope.mask)}
            for side, rule in ((self.old, before), (self.new, after))
        )
        if met != meets or before.scope.kind != after.scope.kind:
            yield from _moved(
                met,
                meets,
                _("Now aimed at: %(items)s."),
                _("No longer aimed at: %(items)s."),
                _("Aimed in another way."),
            )
        for field, label in TEXTS_OF_RULE:
            if (was.get(field) or "") != (now.get(field) or ""):
                yield _from_to(label, was.get(field), now.get(field))
        if was.get("refer") != now.get("refer"):
            yield _from_to(_("Referral"), self._referral(self.old, was), self._referral(self.new, now))
        yield from _basis_changes(was, now)
        yield from _source_changes(was, now)

    @staticmethod
    def _referral(side: Catalogue, entry: Mapping[str, Any]) -> str:
        found = _by_key(side.documents["course"]["referral_rules"]).get(entry.get("refer", ""))
        return str(found["to"]) if found else ""

    # ------------------------------------------------------------------ the intake
    def questions(self) -> Iterator[Row]:
        before, after = (side.documents["vocabulary"]["facts"]["facts"] for side in (self.old, self.new))
        for kind, key, was, now in _paired(before, after):
            if kind != CHANGED:
                entry = now or was
                yield Row(kind=kind, key=key, name=entry["label"], lines=(entry["question"],))
                continue
            lines = []
            if was["question"] != now["question"]:
                lines.append(_from_to(_("Question"), was["question"], now["question"]))
            values = [
                {value: _label(entry) for value, entry in (side.get("values") or {}).items()} for side in (was, now)
            ]
            added = [label for value, label in values[1].items() if value not in values[0]]
            retired = [
                _label(entry)
                for value, entry in (now.get("values") or {}).items()
                if isinstance(entry, Mapping) and entry.get("retired") and value in values[0]
            ]
            if added:
                lines.append(_("New answers: %(items)s.") % {"items": "; ".join(added)})
            if gone := [label for value, label in values[0].items() if value not in values[1]]:
                lines.append(_("Answers that are gone: %(items)s.") % {"items": "; ".join(gone)})
            if retired:
                lines.append(
                    _("No longer offered, kept where it was answered: %(items)s.") % {"items": "; ".join(retired)}
                )
            for value, label in values[1].items():
                if value in values[0] and values[0][value] != label:
                    lines.append(_from_to(_("Answer"), values[0][value], label))
            for field, name in (("unit", _("Unit")), ("minimum", _("Lowest")), ("maximum", _("Highest"))):
                if was.get(field) != now.get(field):
                    lines.append(_from_to(name, was.get(field), now.get(field)))
            if lines:
                yield Row(kind=kind, key=key, name=now["label"], lines=tuple(lines))

    def causes(self) -> Iterator[Row]:
        before, after = (
            {entry["fact"]: entry for entry in side.documents["screening"].get("asked_with_cause", ())}
            for side in (self.old, self.new)
        )
        for kind, key, was, now in _paired(before, after):
            side, entry = (self.new, now) if now else (self.old, was)
            label = side.documents["vocabulary"]["facts"]["facts"][key]["label"]
            if kind == CHANGED and was == now:
                continue
            when = _combined(side, entry["cause"])
            yield Row(
                kind=kind,
                key=key,
                name=label,
                lines=(entry["why"], _("Asked with: %(items)s.") % {"items": when}),
                sources=side.sources(entry["source_ids"]),
            )

    # ------------------------------------------------------------------ pairs
    def pairs(self) -> Iterator[Row]:
        before, after = (_by_key(side.documents["screening"]["incompatibilities"]) for side in (self.old, self.new))
        for kind, key, was, now in _paired(before, after):
            side, entry = (self.new, now) if now else (self.old, was)
            verdict = str(PAIR_NAMES[(entry["severity"], entry["scope"])])
            lines = []
            if kind == CHANGED:
                old_verdict = str(PAIR_NAMES[(was["severity"], was["scope"])])
                if old_verdict != verdict:
                    lines.append(_from_to(_("Verdict"), old_verdict, verdict))
                if was["rationale"] != now["rationale"]:
                    lines.append(_from_to(_("Reason"), was["rationale"], now["rationale"]))
                if (was["a"], was["b"]) != (now["a"], now["b"]):
                    lines.append(_("It keeps other ingredients apart than before."))
                lines += [*_basis_changes(was, now), *_source_changes(was, now)]
            else:
                lines = [verdict, entry["rationale"], *_basis_in_words(entry)]
            if lines:
                sides = " – ".join(self._side(side, entry[name]) for name in ("a", "b"))
                yield Row(kind=kind, key=key, name=sides, lines=tuple(lines), sources=side.sources(entry["source_ids"]))

    @staticmethod
    def _side(side: Catalogue, selector: Any) -> str:
        if isinstance(selector, str):
            return side.name(selector)
        if "flag" in selector:
            return str(FLAG_NAMES.get(selector["flag"], selector["flag"]))
        return ", ".join(str(value) for value in selector.values() if value is not True) or _("every other ingredient")

    # ------------------------------------------------------------------ ingredients
    def ingredients(self) -> Iterator[Row]:
        for kind, key, was, now in _paired(self.old.raw, self.new.raw):
            if kind != CHANGED:
                side = self.new if kind == ADDED else self.old
                entry = now or was
                yield Row(
                    kind=kind, key=key, name=side.name(key), lines=(entry["mechanism"],),
                    sources=side.sources(entry["source_ids"]),
                )  # fmt: skip
                continue
            lines = tuple(self._ingredient_changes(was, now))
            if lines:
                yield Row(
                    kind=kind,
                    key=key,
                    name=self.new.name(key),
                    lines=lines,
                    sources=self.new.sources(now["source_ids"]),
                )

    def _ingredient_changes(self, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
        for flag, label in FLAG_NAMES.items():
            if was["flags"].get(flag) != now["flags"].get(flag):
                yield _from_to(label, _yes_no(was["flags"].get(flag)), _yes_no(now["flags"].get(flag)))
        if was["flags"].get("note") != now["flags"].get("note"):
            yield _from_to(_("Note"), was["flags"].get("note"), now["flags"].get("note"))
        if set(was["flags"]["allergens"]) != set(now["flags"]["allergens"]):
            yield _from_to(_("Allergens"), ", ".join(was["flags"]["allergens"]), ", ".join(now["flags"]["allergens"]))
        if was["default_active"] != now["default_active"]:
            yield _from_to(_("Switched on by default"), _yes_no(was["default_active"]), _yes_no(now["default_active"]))
        old = {line["concern"]: line for line in was["concerns"]}
        new = {line["concern"]: line for line in now["concerns"]}
        for kind, concern, before, after in _paired(old, new):
            label = self.new.concern_label(concern)
            if kind == CHANGED:
                if _claim(before) != _claim(after):
                    yield _from_to(label, _claim(before), _claim(after))
            else:
                yield f"{KIND_NAMES[kind]}: {label}, {_claim(after or before)}"
        told = {"key", "flags", "default_active", "concerns", "source_ids", "name"}
        for path, before, after in _leaves_that_differ(
            {name: value for name, value in was.items() if name not in told},
            {name: value for name, value in now.items() if name not in told},
        ):
            yield _from_to(path, before, after)

    # ------------------------------------------------------------------ the rest
    def referrals(self) -> Iterator[Row]:
        before, after = (_by_key(side.documents["course"]["referral_rules"]) for side in (self.old, self.new))
        for kind, key, was, now in _paired(before, after):
            side, entry = (self.new, now) if now else (self.old, was)
            if kind == CHANGED and was == now:
                continue
            lines = (entry["when"], _("Urgency: %(urgency)s") % {"urgency": entry["urgency"]})
            yield Row(kind=kind, key=key, name=entry["to"], lines=lines, sources=side.sources(entry["source_ids"]))

    def limits(self) -> Iterator[Row]:
        """Everything else that the course, the composition and the prices say, by the place where it stands."""
        was, now = (
            {name: value for name, value in side.documents["course"].items() if name != "referral_rules"}
            for side in (self.old, self.new)
        )
        for path, before, after in _leaves_that_differ(was, now):
            kind = ADDED if before is None else REMOVED if after is None else CHANGED
            yield Row(kind=kind, key=path, name=path, lines=(_from_to(_("Value"), before, after),))

    def sources(self) -> Iterator[Row]:
        before, after = (
            {entry["id"]: entry for entry in side.documents["sources"]["sources"]} for side in (self.old, self.new)
        )
        for kind, key, was, now in _paired(before, after):
            entry = now or was
            if kind == CHANGED and was == now:
                continue
            yield Row(kind=kind, key=key, name=entry["citation"], lines=(entry["supports"], entry["limitations"]))


# ---------------------------------------------------------------------- words
def _rule_in_words(side: Catalogue, entry: Mapping[str, Any], rule: Rule) -> Iterator[str]:
    yield _asked_for(side, entry["trigger"])
    if rule.scope.mask:
        names = ", ".join(side.name(key) for key in side.formulary.keys(rule.scope.mask))
        yield _("Aimed at: %(items)s.") % {"items": names}
    elif rule.scope.kind == "zones":
        yield _("Aimed at the zones that the answer lists.")
    for field, label in TEXTS_OF_RULE[1:]:
        if entry.get(field):
            yield f"{label}: {entry[field]}"
    yield from _basis_in_words(entry)


def _basis_in_words(entry: Mapping[str, Any]) -> Iterator[str]:
    if entry.get("basis"):
        yield _("Basis: %(basis)s, grade %(grade)s") % {
            "basis": BASIS_NAMES[entry["basis"]],
            "grade": entry.get("evidence_grade", "–"),
        }


def _basis_changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    before, after = " ".join(_basis_in_words(was)), " ".join(_basis_in_words(now))
    if before != after and after:
        yield after


def _source_changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    count = len(set(now["source_ids"]) - set(was["source_ids"]))
    if count:
        yield ngettext("%(count)d source more.", "%(count)d sources more.", count) % {"count": count}
    count = len(set(was["source_ids"]) - set(now["source_ids"]))
    if count:
        yield ngettext("%(count)d source fewer.", "%(count)d sources fewer.", count) % {"count": count}


def _asked_for(side: Catalogue, trigger: Mapping[str, Any]) -> str:
    """For which answers a rule speaks: “For: any of: …”."""
    return _("For: %(items)s.") % {"items": _combined(side, trigger)}


def _combined(side: Catalogue, trigger: Mapping[str, Any]) -> str:
    """The answers that a trigger looks for, and whether one is enough; what stands within another in brackets."""
    if trigger.get("all"):
        parts = [_within(side, part) for part in trigger["all"]]
        return _("all of: %(items)s") % {"items": "; ".join(parts)} if len(parts) > 1 else parts[0]
    if trigger.get("any"):
        parts = [
            said
            for part in trigger["any"]
            for said in ([_within(side, part)] if part.get("all") else _conditions(side, part))
        ]
    else:
        parts = list(_conditions(side, trigger))
    parts = list(dict.fromkeys(parts))
    return _("any of: %(items)s") % {"items": "; ".join(parts)} if len(parts) > 1 else parts[0]


def _within(side: Catalogue, trigger: Mapping[str, Any]) -> str:
    said = _combined(side, trigger)
    return f"({said})" if len(list(_conditions(side, trigger))) > 1 else said


def _conditions(side: Catalogue, trigger: Mapping[str, Any]) -> Iterator[str]:
    """Each answer that a trigger looks for, as “Medicines: Methotrexate” or “Age at least 50”."""
    facts = side.documents["vocabulary"]["facts"]["facts"]
    signs = {"lt": _("below"), "lte": _("at most"), "gt": _("above"), "gte": _("at least")}
    for test in tests_of(trigger):
        fact = facts[test["fact"]]
        label = str(fact["label"])
        if test["op"] in signs:
            yield f"{label} {signs[test['op']]} {shown_number(test['value'])}"
            continue
        if test["op"] == "is_not_empty":
            yield f"{label}: {_('anything') if test['value'] else _('None of these')}"
            continue
        known = fact.get("values") or {}
        for value in test["value"] if isinstance(test["value"], list) else [test["value"]]:
            said = _yes_no(value) if isinstance(value, bool) else _label(known.get(value, value))
            yield f"{label}: {_('not')} {said}" if test["op"] == "is_not" else f"{label}: {said}"


def _moved(before: set[str], after: set[str], more: str, less: str, otherwise: str) -> Iterator[str]:
    if after - before:
        yield more % {"items": "; ".join(sorted(after - before))}
    if before - after:
        yield less % {"items": "; ".join(sorted(before - after))}
    if before == after:
        yield otherwise


def _from_to(label: Any, before: Any, after: Any) -> str:
    if before in (None, ""):
        return _("%(what)s: %(new)s (new)") % {"what": label, "new": _plain(after)}
    if after in (None, ""):
        return _("%(what)s: no longer “%(old)s”") % {"what": label, "old": _plain(before)}
    return _("%(what)s: “%(new)s”, was “%(old)s”") % {"what": label, "new": _plain(after), "old": _plain(before)}


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return _yes_no(value)
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return str(value)


def _yes_no(value: Any) -> str:
    return {True: _("yes"), False: _("no")}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _label(entry: Any) -> str:
    return str(entry["label"] if isinstance(entry, Mapping) else entry)


def _claim(line: Mapping[str, Any]) -> str:
    return _("strength %(strength)s, grade %(grade)s, %(direction)s") % {
        "strength": line["strength"],
        "grade": line["evidence_grade"],
        "direction": DIRECTION_NAMES[line["direction"]],
    }


# ---------------------------------------------------------------------- pairing
def _by_key(entries: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {entry["key"]: entry for entry in entries}


def _paired(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield (added, removed or changed, key, old, new) in the new order, what is gone last."""
    for key, now in after.items():
        if key not in before:
            yield ADDED, key, None, now
        elif before[key] != now:
            yield CHANGED, key, before[key], now
    for key, was in before.items():
        if key not in after:
            yield REMOVED, key, was, None


def _leaves_that_differ(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (place, old, new) of every plain value that differs; None where there is none."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from _leaves_that_differ(before.get(name), after.get(name), f"{path}.{name}" if path else str(name))
    elif isinstance(before, list) and isinstance(after, list) and _named(before) and _named(after):
        old, new = ({_name_of(entry): entry for entry in side} for side in (before, after))
        for name in dict.fromkeys([*old, *new]):
            yield from _leaves_that_differ(old.get(name), new.get(name), f"{path}.{name}")
    elif isinstance(before or after, Mapping) and (before is None or after is None):
        for name, value in (before or after).items():
            gone, come = (value, None) if after is None else (None, value)
            yield from _leaves_that_differ(gone, come, f"{path}.{name}")
    else:
        yield path, before, after


def _named(entries: list[Any]) -> bool:
    return bool(entries) and all(isinstance(entry, Mapping) and _name_of(entry) for entry in entries)


def _name_of(entry: Mapping[str, Any]) -> str:
    return str(entry.get("key") or entry.get("name") or entry.get("severity") or "")
