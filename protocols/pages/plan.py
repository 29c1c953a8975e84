"""A plan as its templates read it: every read model of a plan under one name."""

from __future__ import annotations

from django.utils.functional import cached_property

from protocols.pages import answers, course, edits, findings, mixtures, origins
from protocols.pages.reading import Reading


class Reader(Reading):
    """What templates reach by name: each is the function of that name, over this plan."""

    answers_by_words = answers.answers_by_words
    concerns = answers.concerns
    number_choices = answers.number_choices
    wishes = answers.wishes
    zones = answers.zones
    cost_lines = course.cost_lines
    limits = cached_property(course.limits)
    review_weeks = course.review_weeks
    value_cost = cached_property(course.value_cost)
    waiting_advice = course.waiting_advice
    waits_because = course.waits_because
    edit_changes = edits.edit_changes
    edit_rows = cached_property(edits.edit_rows)
    edits = edits.edits
    questions = findings.questions
    referrals = findings.referrals
    mixtures = mixtures.mixtures
    origins = cached_property(origins.origins)
