"""What a formulary version changes, in words: for the director before publishing, for anybody later."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from django.urls import reverse
from django.utils import translation

from mesoclinic.accounts.models import User
from protocols.actions.formulary import load_formulary_draft
from protocols.engine import canonical_json
from protocols.formulary.catalogue import Catalogue
from protocols.formulary.difference import differences, release_notes
from protocols.formulary.loader import load_documents, release_label
from protocols.models import FormularyVersion
from tests.factories_protocols import published_formulary
from tests.protocols.worked_cases import earlier_formulary


@pytest.fixture
def before(dora: User) -> FormularyVersion:
    """A clinic that has run on the first formulary since it was opened."""
    version = published_formulary(by=dora, label="2026.1")
    return FormularyVersion(
        pk=version.pk, public_id=version.public_id, label="2026.1", status=version.status, sha256="0" * 64,
        documents=json.loads(json.dumps(earlier_formulary().documents)),
    )  # fmt: skip


@pytest.fixture
def brought(dora: User) -> FormularyVersion:
    return load_formulary_draft(label=release_label(), is_sample=False, by=dora)


def lines(before: FormularyVersion, after: FormularyVersion) -> dict[str, dict[str, Any]]:
    parts = differences(Catalogue(before), Catalogue(after))
    return {part.key: {row.key: row for row in part.rows} for part in parts}


def test_difference_names_each_new_rule_with_whom_it_is_for(
    before: FormularyVersion, brought: FormularyVersion
) -> None:
    rules = lines(before, brought)["rules"]

    methotrexate = rules["methotrexate_isoflavone"]
    assert (methotrexate.kind, methotrexate.name) == ("added", "Left out: Methotrexate: biochanin A is left out.")
    assert methotrexate.lines[:2] == ("For: Medicines: Methotrexate.", "Aimed at: Biochanin A.")
    assert methotrexate.lines[-1].startswith("Basis: Precaution")
    assert (rules["hypotension_coumarin"].kind, rules["allergy_benzyl_alcohol"].kind) == ("removed", "changed")
    assert "Now aimed at: Cyanocobalamin (vitamin B12)." in rules["allergy_benzyl_alcohol"].lines
    assert "No longer aimed at: Coumarin." in rules["vasodilator_medicines"].lines


def test_difference_names_questions_pairs_flags_and_causes(before: FormularyVersion, brought: FormularyVersion) -> None:
    found = lines(before, brought)

    assert found["questions"]["scalp_tenderness_new"].kind == "added"
    conditions = " ".join(found["questions"]["conditions"].lines)
    assert "Behçet's disease" in conditions and "No longer offered" in conditions
    assert found["pairs"]["ascorbate_pdrn"].lines[0] == "Separate syringe"
    assert "contains benzyl alcohol: “yes”, was “no”" in found["ingredients"]["cyanocobalamin"].lines
    assert "lab_inr" in found["causes"] and "urgent_vasculitis" in found["referrals"] and "orr_2013" in found["sources"]


def test_versions_that_say_the_same_have_no_difference(brought: FormularyVersion) -> None:
    assert differences(Catalogue(brought), Catalogue(brought)) == []


@pytest.mark.parametrize("language", ["fr", "es"])
def test_difference_is_said_in_the_readers_language(
    before: FormularyVersion, brought: FormularyVersion, language: str
) -> None:
    with translation.override(language):
        said = lines(before, brought)
        notes = release_notes(Catalogue(brought))

    assert said["rules"]["methotrexate_isoflavone"].name.endswith("biochanine A est écartée." if language == "fr" else
                                                                  "se excluye la biochanina A.")  # fmt: skip
    assert len(notes) == len(load_documents()["release"]["changes"])
    assert notes[0].text != load_documents()["release"]["changes"][0]["text"]


def test_the_versions_page_tells_of_a_formulary_that_nobody_has_loaded(dora: User, sign_in) -> None:
    load_formulary_draft(label="2026.1", is_sample=False, by=dora)
    client = sign_in(dora)
    assert client.get(reverse("protocols:versions")).context["brought"] == ""  # the same documents by another name

    FormularyVersion.objects.filter(label="2026.1").update(sha256="0" * 64)
    page = client.get(reverse("protocols:versions"))

    assert page.context["brought"] == release_label()
    assert f"This release brings formulary {release_label()}" in page.content.decode()
    assert page.context["form"].initial["label"] == release_label()


def test_the_page_of_what_changes_shows_the_release_and_holds_it_against_the_version_in_force(
    dora: User, ben: User, sign_in
) -> None:
    in_force = published_formulary(by=dora, label="2026.1")
    draft = load_formulary_draft(label="2026.2", is_sample=False, by=dora)
    page = sign_in(ben).get(reverse("protocols:version_changes", args=[draft.public_id]))

    assert page.status_code == 200
    assert page.context["before"].pk == in_force.pk
    assert (page.context["parts"], page.context["count"]) == ([], 0)
    text = page.content.decode()
    assert "The two versions say the same." in text and "giant cell arteritis" in text

    first = sign_in(ben).get(reverse("protocols:version_changes", args=[in_force.public_id]))
    assert first.context["before"] is None
    assert "There is no version before it" in first.content.decode()


def test_release_is_found_by_its_documents(dora: User, brought: FormularyVersion) -> None:
    assert brought.sha256 == hashlib.sha256(canonical_json(load_documents())).hexdigest()


def test_difference_says_whether_one_answer_is_enough_or_all_are_needed(
    before: FormularyVersion, brought: FormularyVersion
) -> None:
    rules = lines(before, brought)["rules"]

    assert rules["giant_cell_arteritis_suspected"].lines[0] == (
        "For: all of: Age at least 50; New tenderness of the scalp: yes."
    )
    assert rules["pathergy_disease"].lines[0].startswith("For: any of: Conditions: ")
    with_thinner = rules["ssri_with_blood_thinner"].lines[0]
    assert with_thinner.startswith("For: all of: Medicines: ")
    assert "; (any of: Medicines: " in with_thinner
