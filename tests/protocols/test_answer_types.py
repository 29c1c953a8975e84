"""The types of the engine's answer and its published schema say the same, field by field."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from protocols.engine import answer
from protocols.engine.schema import ANSWER_SCHEMA

PLAIN = {str: "string", int: "integer", bool: "boolean"}
NARROWER = {
    "$schema", "title", "description", "pattern", "minLength", "minItems", "maxItems", "minimum", "maximum",
}  # fmt: skip
"""What a schema may say beyond the kind of a value."""


def shape_of(kind: Any) -> dict[str, Any]:
    """What a type says, as a schema."""
    if kind is Any:
        return {}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if is_typeddict(kind):
        fields = {name: shape_of(hint) for name, hint in get_type_hints(kind).items()}
        return {"type": "object", "properties": fields, "required": sorted(kind.__required_keys__)}
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": sorted(parts)}
    if origin is list:
        return {"type": "array", "items": shape_of(*parts)}
    if origin is dict:
        return {"type": "object"}
    assert origin in (Union, types.UnionType) and parts[-1] is type(None) and len(parts) == 2, kind
    return {"anyOf": [shape_of(parts[0]), {"type": "null"}]}


def bare(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with nothing but the kinds of its values; what other fields an object may have is none."""
    found = {key: value for key, value in schema.items() if key not in NARROWER}
    if "properties" in found:
        assert found.pop("additionalProperties") is False
        found["properties"] = {name: bare(part) for name, part in found["properties"].items()}
    elif found.get("type") == "object":
        found.pop("required", None)  # open: an edit has other fields for each `op`
    if "items" in found:
        found["items"] = bare(found["items"])
    if "anyOf" in found:
        found["anyOf"] = [bare(part) for part in found["anyOf"]]
    if "enum" in found:
        found["enum"] = sorted(found["enum"])
    return found


def within(kind: Any) -> Iterator[Any]:
    """Every type that a type is made of."""
    yield kind
    for part in get_type_hints(kind).values() if is_typeddict(kind) else get_args(kind):
        yield from within(part)


def test_types_and_schema_have_the_same_fields() -> None:
    assert shape_of(answer.Answer) == bare(ANSWER_SCHEMA)


def test_every_type_is_a_part_of_the_answer() -> None:
    used = list(within(answer.Answer))
    own = {name: kind for name, kind in vars(answer).items() if is_typeddict(kind) or get_origin(kind) is Literal}
    assert [name for name, kind in own.items() if kind not in used] == []


def test_a_field_more_or_another_kind_is_told_apart() -> None:
    said = shape_of(answer.Session)
    assert said == {
        "type": "object", "required": ["number", "syringes"],
        "properties": {"number": {"type": "integer"}, "syringes": {"type": "array", "items": shape_of(answer.Syringe)}},
    }  # fmt: skip
    assert bare({"type": "string", "minLength": 1}) == shape_of(str) != shape_of(int)
    assert bare({"anyOf": [{"type": "string", "pattern": "x"}, {"type": "null"}]}) == shape_of(str | None)
    assert shape_of(answer.Zone)["required"] == ["area_cm2", "zone"] != sorted(shape_of(answer.Zone)["properties"])
