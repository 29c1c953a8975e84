"""The published shape of an answer, as JSON Schema. Sentences are optional: the engine's own answer has none."""

from __future__ import annotations

from typing import Any

DECIMAL: dict[str, Any] = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}
MONEY: dict[str, Any] = {"type": "string", "pattern": r"^\d+(\.\d{1,2})?$"}
SIGNED_MONEY: dict[str, Any] = {"type": "string", "pattern": r"^-?\d+(\.\d{1,2})?$"}
TEXT: dict[str, Any] = {"type": "string"}
WORD: dict[str, Any] = {"type": "string", "minLength": 1}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
FLAG: dict[str, Any] = {"type": "boolean"}
HASH: dict[str, Any] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
SEVERITY: dict[str, Any] = {"enum": ["mild", "moderate", "severe"]}
GRADE: dict[str, Any] = {"enum": ["A", "B", "C", "D", "E"]}
DIRECTION: dict[str, Any] = {"enum": ["supports", "mixed", "no_advantage", "untested"]}
PARAMS: dict[str, Any] = {"type": "object"}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _maybe(of: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [of, {"type": "null"}]}


def _row(fields: dict[str, Any], sentences: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object with exactly these fields; the sentences may be there or not."""
    return {
        "type": "object",
        "properties": {**fields, **(sentences or {})},
        "required": sorted(fields),
        "additionalProperties": False,
    }


BECAUSE = _row({"fact": WORD, "answer": {}, "op": WORD, "value": {}})
FINDING = _row(
    {
        "rule": WORD,
        "scope": WORD,
        "ingredients": _list(WORD),
        "because": _list(BECAUSE),
        "postponed": FLAG,
        "referral": _maybe(WORD),
        "sources": _list(WORD),
        "params": PARAMS,
    },
    {"message": WORD, "until": _maybe(TEXT), "rationale": TEXT, "because_text": _list(WORD)},
)
ADDRESS = _row(
    {
        "concern": WORD,
        "strength": {"type": "integer", "minimum": 1, "maximum": 3},
        "evidence_grade": GRADE,
        "direction": DIRECTION,
        "sources": {**_list(WORD), "minItems": 1},
        "web_article_only": FLAG,
    },
    {"label": WORD, "grade_label": TEXT, "direction_label": TEXT, "notice": TEXT},
)
LINE = _row(
    {
        "ingredient": WORD,
        "name": WORD,
        "role": {"enum": ["active", "carrier", "diluent"]},
        "stock_concentration": DECIMAL,
        "concentration_unit": WORD,
        "volume_ml": DECIMAL,
        "volume_min_ml": DECIMAL,
        "volume_usual_ml": DECIMAL,
        "volume_max_ml": DECIMAL,
        "set_by_hand": FLAG,
        "dose": DECIMAL,
        "dose_unit": WORD,
        "max_dose": DECIMAL,
        "final_concentration": DECIMAL,
        "addresses": _list(ADDRESS),
        "marginal_value": _maybe(DECIMAL),
        "required_by": _list(WORD),
        "stands_in_for": _list(_row({"concern": WORD, "ingredient": WORD})),
        "prescription_only": FLAG,
        "director_confirmation_required": FLAG,
        "basis": WORD,
        "sources": _list(WORD),
    },
    {"label": WORD, "reason": WORD},
)
AMOUNT = _row({"ingredient": WORD, "volume_ml": DECIMAL, "dose": DECIMAL, "dose_unit": WORD})
SYRINGE = _row(
    {
        "label": WORD,
        "volume_ml": DECIMAL,
        "drawn_as": _row({"count": {"type": "integer", "minimum": 1}, "parts_ml": {**_list(DECIMAL), "minItems": 1}}),
        "ph_min": DECIMAL,
        "ph_max": DECIMAL,
        "ph_estimate": DECIMAL,
        "osmolality": _row({"estimate": _maybe(DECIMAL), "unknown": _list(WORD)}),
        "diluent_share": DECIMAL,
        "use_immediately": _list(
            _row({"pair": WORD, "ingredients": _list(WORD), "sources": _list(WORD)}, {"message": WORD})
        ),
        "lines": {**_list(LINE), "minItems": 1},
    }
)
AMOUNT_IN_WORDS = {"enum": ["much", "some", "little"]}
CONTRIBUTION = _row(
    {
        "ingredient": WORD,
        "held": FLAG,
        "adds": AMOUNT_IN_WORDS,
        "gross": DECIMAL,
        "needed": DECIMAL,
        "needed_for": _row({"cautions": COUNT, "mixtures": COUNT}),
        "decided_by": {"enum": ["first_choice", "stands_in", "value", "by_hand", "kept", "limit"]},
        "limit": _maybe(WORD),
        "serves": _list(_row({"concern": WORD, "value": DECIMAL, "much": AMOUNT_IN_WORDS})),
        "first_choice_of": _list(WORD),
        "price": _maybe(MONEY),
    },
    {"text": TEXT, "loses": TEXT, "saves": TEXT, "figures": TEXT},
)
REVIEW = {"days": {"type": "integer", "minimum": 7}, "rules": {**_list(WORD), "minItems": 1}, "sources": _list(WORD)}
LEFT_OUT_REASONS = (
    "screened", "no_plan", "prescription_only", "preference", "not_drawable", "no_stock", "no_volume",
    "serves_no_concern", "removed_by_hand", "family_limit", "pair", "displaced", "small_syringe", "adds_too_little",
    "not_chosen",
    "diluent_not_needed", "diluent_for_reconstitution",
)  # fmt: skip
COURSE = _row(
    {
        "sessions": {"type": "integer", "minimum": 1, "maximum": 5},
        "sessions_min": COUNT,
        "sessions_max": COUNT,
        "schedule": WORD,
        "offsets_days": {**_list(COUNT), "minItems": 1, "maxItems": 5},
        "windows_days": _list(_row({"session": COUNT, "earliest": COUNT, "ideal": COUNT, "latest": COUNT})),
        "span_days": COUNT,
        "span_min_days": COUNT,
        "span_max_days": COUNT,
        "min_gap_days": COUNT,
        "ideal_gap_days": COUNT,
        "max_gap_days": COUNT,
        "spacings": _list(_row({"ingredient": WORD, "from_session": COUNT, "to_session": COUNT, "min_days": COUNT})),
        "checkpoints": _list(
            _row(
                {
                    "key": WORD,
                    "after_session": _maybe(COUNT),
                    "offset_days": COUNT,
                    "earliest_days": COUNT,
                    "latest_days": COUNT,
                    "measures": _list(WORD),
                },
                {"purpose": WORD},
            )
        ),
        "duration_minutes": {"type": "integer", "minimum": 10, "maximum": 30},
        "appointment_minutes_extra": COUNT,
        "appointment_minutes": COUNT,
        "points": COUNT,
        "volume_per_point_ml": DECIMAL,
        "technique": WORD,
        "depth_mm": _row({"min": DECIMAL, "max": DECIMAL}),
        "angle_degrees": _row({"min": COUNT, "max": COUNT}),
        "needle": WORD,
        "change_needle_every_points": COUNT,
        "sources": _list(WORD),
    },
    {"technique_label": WORD},
)
COST = _row(
    {
        "currency": _maybe({"type": "string", "pattern": "^[A-Z]{3}$"}),
        "per_session": MONEY,
        "sessions": _list(MONEY),
        "total": MONEY,
        "low": MONEY,
        "high": MONEY,
        "lines": _list(
            _row({"item": WORD, "key": TEXT, "amount": MONEY, "multiplier": _maybe(DECIMAL)}, {"label": WORD})
        ),
    }
)

ANSWER_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Answer of the protocol engine",
    "description": "Quantities are decimal strings with the unit in the key or beside it.",
    **_row(
        {
            "status": {"enum": ["proposed", "blocked", "incomplete", "waiting"]},
            "missing": _list(_row({"fact": WORD, "needed_by": _list(WORD)}, {"question": WORD, "label": WORD})),
            "open_questions": _list(
                _row(
                    {
                        "fact": WORD,
                        "needed_by": {**_list(WORD), "minItems": 1},
                        "ingredients": _list(WORD),
                        "waived": _maybe(_row({"as": {"enum": ["not_measured", "not_applicable"]}, "reason": WORD})),
                    },
                    {"question": WORD, "label": WORD},
                )
            ),
            "blocks": _list(FINDING),
            "cautions": _list(FINDING),
            "infos": _list(FINDING),
            "referrals": _list(
                _row(
                    {"referral": WORD, "rule": WORD, "to": WORD, "urgency": WORD},
                    {"to_label": WORD, "urgency_label": WORD},
                )
            ),
            "excluded_by_rule": _list(
                _row(
                    {"ingredient": WORD, "name": WORD, "rule": WORD, "because": _list(BECAUSE), "sources": _list(WORD)},
                    {"message": WORD, "because_text": _list(WORD)},
                )
            ),
            "rules_fired": _list(WORD),
            "severity": SEVERITY,
            "concerns": _list(
                _row(
                    {
                        "concern": WORD,
                        "severity": SEVERITY,
                        "recorded_severity": SEVERITY,
                        "staged_by": _list(_row({"scale": WORD, "stage": WORD})),
                        "staged_severity": _maybe(SEVERITY),
                        "insisted": FLAG,
                    },
                    {"label": WORD, "evidence_note": TEXT},
                )
            ),
            "zones": _list(_row({"zone": WORD, "area_cm2": DECIMAL}, {"label": WORD})),
            "area_cm2": DECIMAL,
            "target_volume_ml": DECIMAL,
            "total_volume_ml": DECIMAL,
            "syringes": _list(SYRINGE),
            "left_out": _list(
                _row(
                    {
                        "ingredient": WORD,
                        "name": WORD,
                        "reason_code": {"enum": list(LEFT_OUT_REASONS)},
                        "params": PARAMS,
                        "range": _maybe(
                            _row({"volume_min_ml": DECIMAL, "volume_usual_ml": DECIMAL, "volume_max_ml": DECIMAL})
                        ),
                    },
                    {"reason": WORD},
                )
            ),
            "requirements": _list(
                _row(
                    {
                        "concern": WORD,
                        "first_choice": WORD,
                        "ingredient": _maybe(WORD),
                        "state": {
                            "enum": [
                                "met",
                                "substituted",
                                "no_substitute",
                                "gave_way",
                                "could_return",
                                "removed",
                                "no_plan",
                            ]
                        },
                        "limit": _maybe(WORD),
                    },
                    {"sentence": WORD},
                )
            ),
            "sessions": _list(_row({"number": COUNT, "syringes": _list(SYRINGE)})),
            "alternatives": _list(
                _row(
                    {
                        "kind": {"enum": ["mixture", "waiting"]},
                        "ingredients": _list(WORD),
                        "value": DECIMAL,
                        "value_difference": DECIMAL,
                        "lines": _list(AMOUNT),
                        "sessions": _list(_row({"number": COUNT, "lines": _list(AMOUNT)})),
                        "cost_total": MONEY,
                        "cost_difference": SIGNED_MONEY,
                        "trades": {**_list(_row({"code": WORD, "params": PARAMS}, {"text": WORD})), "minItems": 1},
                        "review": _maybe(
                            _row(
                                {
                                    **REVIEW,
                                    "because": _list(_row({"code": WORD, "params": PARAMS}, {"text": WORD})),
                                }
                            )
                        ),
                    },
                    {"names": _list(WORD), "summary": WORD},
                )
            ),
            "contributions": _list(CONTRIBUTION),
            "waiting": _maybe(_row(REVIEW)),
            "course": _maybe(COURSE),
            "cost": _maybe(COST),
            "value": _maybe(DECIMAL),
            "value_cost": _maybe(DECIMAL),
            "edits": _list({"type": "object", "required": ["op"]}),
            "trace": _list(_row({"step": WORD, "rule": WORD, "value": {}})),
            "formulary_version": WORD,
            "formulary_fingerprint": HASH,
            "engine_version": WORD,
            "fingerprint": HASH,
        },
        {
            "advice": _list(WORD),
            "summary": WORD,
            "refusals": _list(_row({"path": WORD, "code": WORD, "params": PARAMS, "message": WORD})),
        },
    ),
}
