"""Formulary versions: loaded, confirmed by the director, published once, frozen after."""

from __future__ import annotations

import hashlib

import pytest
from django.db import IntegrityError, connection, transaction

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from protocols.actions.formulary import (
    UnconfirmedIngredients,
    confirm_entry,
    load_formulary_draft,
    publish_formulary,
    set_entry_active,
)
from protocols.engine import canonical_json
from protocols.formulary.queries import built_formulary, documents_of, formulary_in_force, unconfirmed_entries
from protocols.models import FormularyVersion, Ingredient
from protocols.models.enums import FormularyStatus
from tests.factories_protocols import draft_formulary, published_formulary


def test_a_draft_holds_the_files_and_one_entry_per_ingredient(dora: User) -> None:
    version = load_formulary_draft(label="2026.1", is_sample=False, by=dora)

    listed = version.documents["ingredients"]["ingredients"]
    assert version.status == FormularyStatus.DRAFT
    assert version.sha256 == hashlib.sha256(canonical_json(version.documents)).hexdigest()
    assert sorted(version.entries.values_list("ingredient__key", flat=True)) == sorted(item["key"] for item in listed)
    assert version.entries.filter(is_active=True).count() == sum(item["default_active"] for item in listed)
    assert version.entries.filter(confirmation_required=True).count() == sum(
        item["director_confirmation_required"] for item in listed
    )
    assert AuditEvent.objects.filter(action="formulary.drafted", target_id=version.public_id).count() == 1


def test_a_second_draft_keeps_the_ingredients_and_their_ids(dora: User) -> None:
    load_formulary_draft(label="2026.1", is_sample=False, by=dora)
    before = dict(Ingredient.objects.values_list("key", "public_id"))
    Ingredient.objects.filter(key="biotin").update(name="Vitamin H")

    load_formulary_draft(label="2026.2", is_sample=False, by=dora)

    assert dict(Ingredient.objects.values_list("key", "public_id")) == before
    assert Ingredient.objects.get(key="biotin").name.startswith("Biotin")


@pytest.mark.parametrize("label", ["", "  ", "a b", "x" * 21, "<b>"])
def test_a_label_that_is_no_name_is_refused(dora: User, label: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        load_formulary_draft(label=label, is_sample=False, by=dora)
    assert refusal.value.field == "label"


def test_a_label_is_given_once(dora: User) -> None:
    draft_formulary(by=dora)
    with pytest.raises(InvalidInput, match="already"):
        draft_formulary(by=dora)


@pytest.mark.parametrize("who", ["ada", "ben", "cleo"])
def test_only_the_director_changes_the_formulary(request: pytest.FixtureRequest, dora: User, who: str) -> None:
    person = request.getfixturevalue(who)
    version = draft_formulary(by=dora)
    entry = unconfirmed_entries(version)[0]
    for attempt in (
        lambda: load_formulary_draft(label="2026.2", is_sample=False, by=person),
        lambda: set_entry_active(entry=entry, active=False, by=person),
        lambda: confirm_entry(entry=entry, by=person),
        lambda: publish_formulary(version=version, by=person),
    ):
        with pytest.raises(NotAllowed):
            attempt()
    entry.refresh_from_db()
    assert (entry.is_active, entry.confirmed_at) == (True, None)


def test_publishing_is_refused_with_the_list_while_a_flagged_ingredient_waits(dora: User) -> None:
    version = draft_formulary(by=dora)
    waiting = [entry.ingredient.name for entry in unconfirmed_entries(version)]
    assert len(waiting) > 1

    with pytest.raises(UnconfirmedIngredients) as refusal:
        publish_formulary(version=version, by=dora)

    assert refusal.value.names == waiting
    assert all(name in str(refusal.value) for name in waiting)
    assert formulary_in_force() is None


def test_a_flagged_ingredient_that_is_switched_off_needs_no_confirmation(dora: User) -> None:
    version = draft_formulary(by=dora)
    for entry in list(unconfirmed_entries(version)):
        set_entry_active(entry=entry, active=False, by=dora)

    publish_formulary(version=version, by=dora)

    assert formulary_in_force() == version
    assert not built_formulary(version).ingredients["biochanin_a"].active


def test_switching_off_takes_the_confirmation_back(dora: User) -> None:
    version = draft_formulary(by=dora)
    entry = confirm_entry(entry=unconfirmed_entries(version)[0], by=dora)
    set_entry_active(entry=entry, active=False, by=dora)
    set_entry_active(entry=entry, active=True, by=dora)

    assert entry in list(unconfirmed_entries(version))


def test_confirming_twice_or_what_is_off_is_refused(dora: User) -> None:
    version = draft_formulary(by=dora)
    entry = confirm_entry(entry=unconfirmed_entries(version)[0], by=dora)
    with pytest.raises(InvalidTransition, match="already"):
        confirm_entry(entry=entry, by=dora)
    off = version.entries.filter(is_active=False).first()
    assert off is not None
    with pytest.raises(InvalidTransition, match="switched off"):
        confirm_entry(entry=off, by=dora)


def test_publishing_retires_the_version_before(dora: User) -> None:
    first = published_formulary(by=dora)
    second = published_formulary(by=dora, label="2026.2", new=True)

    first.refresh_from_db()
    assert (first.status, second.status) == (FormularyStatus.RETIRED, FormularyStatus.PUBLISHED)
    assert first.retired_at == second.published_at
    assert formulary_in_force() == second
    assert second.published_by == dora


def test_publishing_twice_is_refused(dora: User) -> None:
    version = published_formulary(by=dora)
    with pytest.raises(InvalidTransition, match="published"):
        publish_formulary(version=version, by=dora)


def test_a_published_version_takes_no_switch(dora: User) -> None:
    version = published_formulary(by=dora)
    entry = version.entries.filter(is_active=True).first()
    assert entry is not None
    with pytest.raises(InvalidTransition):
        set_entry_active(entry=entry, active=False, by=dora)


PUBLISHED = [
    "UPDATE protocols_formularyversion SET label = 'other' WHERE id = {id}",
    "UPDATE protocols_formularyversion SET sha256 = 'x' WHERE id = {id}",
    "UPDATE protocols_formularyversion SET documents = '{{}}' WHERE id = {id}",
    "DELETE FROM protocols_formularyversion WHERE id = {id}",
    "UPDATE protocols_formularyentry SET is_active = NOT is_active WHERE version_id = {id}",
    "UPDATE protocols_formularyentry SET confirmed_at = NULL, confirmed_by_id = NULL WHERE version_id = {id}",
    "DELETE FROM protocols_formularyentry WHERE version_id = {id}",
    "INSERT INTO protocols_formularyentry (version_id, ingredient_id, ingredient_class, role, prescription_only,"
    " is_active, confirmation_required)"
    " SELECT version_id, ingredient_id, ingredient_class, role, prescription_only, is_active,"
    " confirmation_required FROM protocols_formularyentry WHERE version_id = {id}",
]


@pytest.mark.parametrize("statement", PUBLISHED, ids=range(len(PUBLISHED)))
def test_the_database_refuses_to_change_a_published_version(dora: User, statement: str) -> None:
    version = published_formulary(by=dora)
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(id=version.pk))
    version.refresh_from_db()
    assert version.label == "2026.1"


def test_a_draft_can_still_be_thrown_away(dora: User) -> None:
    version = draft_formulary(by=dora)
    version.delete()
    assert not FormularyVersion.objects.exists()


def test_the_engine_formulary_is_built_once_per_active_set(dora: User, django_assert_num_queries) -> None:
    version = published_formulary(by=dora)
    first = built_formulary(version)
    with django_assert_num_queries(1):  # the switches; neither the documents nor the build again
        assert built_formulary(version) is first

    other = draft_formulary(by=dora, label="2026.2")
    set_entry_active(entry=other.entries.get(ingredient__key="biotin"), active=False, by=dora)
    assert built_formulary(other) is not first
    assert not built_formulary(other).ingredients["biotin"].active


def test_documents_are_read_in_the_order_they_were_written_in(formulary: FormularyVersion) -> None:
    """PostgreSQL sorts the keys of stored JSON by length, SQLite keeps them; plans follow the order of the facts."""
    facts = list(documents_of(formulary)["vocabulary"]["facts"]["facts"])
    assert facts == sorted(facts)
