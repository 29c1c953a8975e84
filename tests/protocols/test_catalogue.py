"""The formulary's pages: who reads what, filters in the address, the director's switches."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation
from django.utils.html import escape

from mesoclinic.accounts.models import User
from mesoclinic.core import reviews
from mesoclinic.core.sorting import by_words
from mesoclinic.core.texts import texts_at
from protocols.formulary.catalogue import Catalogue, ingredient_choices, matching, short_source
from protocols.formulary.loader import load_documents
from protocols.formulary.queries import documents_of, formulary_in_force, unconfirmed_entries
from protocols.formulary.texts import FORMULARY_TEXTS
from protocols.models import FormularyVersion, Ingredient, Product
from protocols.models.enums import FormularyStatus
from protocols.prints.documents import plan_part
from scripts import messages
from tests.factories_protocols import draft_formulary, published_formulary, signed_plan


def of(key: str) -> str:
    return reverse("protocols:ingredient", args=[Ingredient.objects.get(key=key).public_id])


def test_the_list_shows_every_ingredient_with_its_evidence(formulary: FormularyVersion, ben: User, sign_in) -> None:
    page = sign_in(ben).get(reverse("protocols:catalogue"))

    assert page.status_code == 200
    rows = page.context["rows"]
    assert [row.key for row in rows] == list(
        formulary.entries.order_by("ingredient__name").values_list("ingredient__key", flat=True)
    )
    biochanin = next(row for row in rows if row.key == "biochanin_a")
    assert biochanin.amounts.volumes == ("0.50", "1.00", "1.50")
    assert biochanin.concerns[0].key == "androgenetic_alopecia"
    assert (biochanin.concerns[0].grade, biochanin.concerns[0].direction) == ("B", "supports")


def test_reception_reads_names_and_nothing_more(formulary: FormularyVersion, cleo: User, sign_in) -> None:
    client = sign_in(cleo)
    page = client.get(reverse("protocols:catalogue"))

    text = page.content.decode()
    assert "Biochanin A" in text
    for secret in ("mL", "Grade", "supports", "Loing", "Pattern hair loss", of("biochanin_a")):
        assert secret not in text, secret
    for url in (
        of("biochanin_a"),
        reverse("protocols:versions"),
        reverse("protocols:version", args=[formulary.public_id]),
    ):
        assert client.get(url).status_code == 403


FILTERS = [
    ("q=vitamin+b1", lambda row: "vitamin b1" in row.name.casefold()),
    ("kind=peptide", lambda row: row.entry.ingredient_class == "peptide"),
    ("status=off", lambda row: not row.entry.is_active),
    ("status=prescription", lambda row: row.entry.prescription_only),
    ("status=flagged", lambda row: row.entry.confirmation_required),
    ("grade=A", lambda row: "A" in row.grades),
    ("concern=seborrhoea_dandruff", lambda row: any(line.key == "seborrhoea_dandruff" for line in row.concerns)),
]


@pytest.mark.parametrize(("query", "test"), FILTERS, ids=[row[0] for row in FILTERS])
def test_the_filter_is_in_the_address(formulary: FormularyVersion, ben: User, sign_in, query: str, test) -> None:
    everything = Catalogue(formulary).rows()
    page = sign_in(ben).get(reverse("protocols:catalogue") + "?" + query)

    wanted = [row.key for row in everything if test(row)]
    assert 0 < len(wanted) < len(everything)
    assert [row.key for row in page.context["rows"]] == wanted


def test_filters_narrow_together_and_nonsense_filters_nothing(formulary: FormularyVersion, ben: User, sign_in) -> None:
    rows = Catalogue(formulary).rows()
    both = matching(rows, kind="vitamin", status="on")
    assert both and all(row.entry.ingredient_class == "vitamin" and row.entry.is_active for row in both)
    client = sign_in(ben)
    assert len(client.get(reverse("protocols:catalogue") + "?kind=nonsense").context["rows"]) == len(rows)
    assert "Nothing matches" in client.get(reverse("protocols:catalogue") + "?q=zzzz").content.decode()


def test_htmx_gets_the_rows_only(formulary: FormularyVersion, ben: User, sign_in) -> None:
    page = sign_in(ben).get(reverse("protocols:catalogue") + "?kind=peptide", headers={"HX-Request": "true"})
    assert page.content.decode().strip().startswith('<section class="card" id="ingredient-rows"')


def test_without_a_formulary_the_page_says_what_to_do(dora: User, ben: User, sign_in) -> None:
    assert "Load the starter formulary" in sign_in(dora).get(reverse("protocols:catalogue")).content.decode()
    assert "medical director checks and publishes" in sign_in(ben).get(reverse("protocols:catalogue")).content.decode()


def test_the_sample_formulary_says_so_on_its_pages(dora: User, ben: User, sign_in) -> None:
    version = published_formulary(by=dora, is_sample=True)
    client = sign_in(ben)
    for url in (
        reverse("protocols:catalogue"),
        of("biotin"),
        reverse("protocols:version", args=[version.public_id]),
        reverse("protocols:versions"),
    ):
        assert "Sample formulary" in client.get(url).content.decode(), url


def test_every_ingredient_has_its_page(formulary: FormularyVersion, ben: User, sign_in) -> None:
    client = sign_in(ben)
    for ingredient in Ingredient.objects.all():
        page = client.get(of(ingredient.key))
        assert page.status_code == 200, ingredient.key


def test_an_ingredients_page_shows_doses_evidence_rules_pairs_and_sources(
    formulary: FormularyVersion, ben: User, sign_in
) -> None:
    Product.objects.create(
        ingredient=Ingredient.objects.get(key="biochanin_a"),
        name="Biochanin A 0.2 mg/mL",
        concentration="0.2",
        concentration_unit="mg/mL",
        container="vial",
        container_volume_ml="5",
        supplier="Nordlys",
    )
    page = sign_in(ben).get(of("biochanin_a"))
    shown, text = page.context["page"], page.content.decode()

    assert (shown["amounts"].doses, shown["amounts"].dose_unit) == (("0.1", "0.2", "0.3"), "mg")
    assert {line.key for line in shown["rules"]} >= {
        "hormone_sensitive_cancer_phytoestrogen", "allergy_soy", "endometriosis_fibroids",
    }  # fmt: skip
    assert "biochanin_hyaluronate" in [line.key for line in shown["pairs"]]
    assert "All authors worked for the ingredient&#x27;s manufacturer" in text
    for words in ("No injection dose has been studied", "Nordlys", "Off-label when injected", "491-80-5", "pH 5 to 7"):
        assert words in text, words


def test_a_claim_that_rests_on_the_article_or_on_habit_alone_is_labelled(formulary: FormularyVersion) -> None:
    contents = Catalogue(formulary)
    labelled = {
        (key, line.label_only) for key in contents.raw for line in contents.concern_lines(key) if line.label_only
    }
    assert ("acetyl_tetrapeptide_3", "Habit or marketing only") in labelled


FIGURE = re.compile(r"\b(?:156|52)(?:\s|&nbsp;|\u00a0|\u202f)*(?:%|per ?cent|pour ?cent|por ?ciento)", re.IGNORECASE)
ROOT = Path(__file__).resolve().parents[2]


def test_each_claim_of_the_article_stands_with_its_verdict_and_what_to_say(
    formulary: FormularyVersion, ben: User, cleo: User, sign_in
) -> None:
    page = sign_in(ben).get(reverse("protocols:claims"))

    text = page.content.decode()
    claims = page.context["claims"]
    assert [claim.id for claim in claims] == [f"S{number:02}" for number in range(1, len(claims) + 1)]
    for claim in claims:
        assert escape(claim.statement) in text and escape(claim.say_instead) in text, claim.id
    assert FIGURE.search(text) and "must not be quoted" in text and "Never to patients" in text
    assert not FIGURE.search(sign_in(ben).get(reverse("protocols:catalogue")).content.decode())
    assert sign_in(cleo).get(reverse("protocols:claims")).status_code == 403


@pytest.mark.parametrize("verdict", ["partly_supported", "not_supported", "incorrect"])
def test_claims_are_filtered_in_the_address(formulary: FormularyVersion, ben: User, sign_in, verdict: str) -> None:
    everything = Catalogue(formulary).claims()
    page = sign_in(ben).get(reverse("protocols:claims"), {"verdict": verdict})
    wanted = [claim.id for claim in everything if claim.verdict == verdict]
    assert 0 < len(wanted) < len(everything)
    assert [claim.id for claim in page.context["claims"]] == wanted
    nonsense = sign_in(ben).get(reverse("protocols:claims"), {"verdict": "<b>"})
    assert len(nonsense.context["claims"]) == len(everything)


def test_claims_mark_the_translations_to_be_reviewed(formulary: FormularyVersion, ben: User, sign_in) -> None:
    ben.language = "fr"
    ben.save()
    page = sign_in(ben).get(reverse("protocols:claims"))
    text = page.content.decode()
    for claim in page.context["claims"]:
        assert escape(reviews.english_of(claim.statement)) in text, claim.id
    assert text.count('class="mc-rev"') == len(page.context["claims"]) + 1  # and the figure that was traced


@pytest.mark.parametrize(("language", "first", "last"), [("en", "Acetyl", "Zinc"), ("fr", "Acétyl", "Zinc")])
def test_ingredients_stand_by_the_name_that_is_shown(
    formulary: FormularyVersion, ben: User, cleo: User, sign_in, language: str, first: str, last: str
) -> None:
    for person in (ben, cleo):
        person.language = language
        person.save()
    names = [row.name for row in sign_in(ben).get(reverse("protocols:catalogue")).context["rows"]]
    with translation.override(language):
        assert names == sorted(names, key=by_words)
    assert sign_in(cleo).get(reverse("protocols:catalogue")).context["names"] == names


def test_accents_and_capitals_do_not_move_a_name() -> None:
    assert sorted(["Zinc", "élastine", "Eau", "Ñame", "Nuez", "œuf"], key=by_words) == [
        "Eau", "élastine", "Ñame", "Nuez", "œuf", "Zinc",
    ]  # fmt: skip
    with translation.override("es"):
        assert sorted(["Ñame", "Nuez", "Oro"], key=by_words) == ["Nuez", "Ñame", "Oro"]


def test_the_search_overlooks_accents_and_knows_synonyms(formulary: FormularyVersion, ben: User, sign_in) -> None:
    ben.language = "fr"
    ben.save()
    client = sign_in(ben)

    def found(q: str) -> list[str]:
        return [row.key for row in client.get(reverse("protocols:catalogue"), {"q": q}).context["rows"]]

    assert found("acetyl tetra") == found("Acétyl tétra") == ["acetyl_tetrapeptide_3"]
    assert found("lys-gly-his") == ["acetyl_tetrapeptide_3"]


def test_claims_without_a_formulary_lead_to_where_one_is_made(db: None, ben: User, sign_in) -> None:
    assert sign_in(ben).get(reverse("protocols:claims")).url == reverse("protocols:catalogue")


def test_no_text_for_patients_holds_the_marketing_figure() -> None:
    """Every letter and print as it comes out, every page behind a link, every wording that a clinic starts from."""
    letters = sorted((ROOT / "tests/sessions/letters").glob("*.txt"))
    prints = sorted((ROOT / "tests/protocols").rglob("*.txt"))
    pages = [path for kind in ("answers", "mail", "documents") for path in (ROOT / "templates" / kind).glob("*")]
    words = sorted((ROOT / "sessions/mail/texts").glob("*.yaml"))
    assert len(letters) > 40 and len(prints) > 3 and len(pages) > 20 and len(words) > 2
    found = [path.name for path in (*letters, *prints, *pages, *words) if FIGURE.search(path.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize("language", ["en", "fr", "es"])
@pytest.mark.parametrize("kind", ["plan_patient", "consent", "aftercare", "quotation", "course_schedule"])
def test_no_print_for_patients_holds_the_marketing_figure(
    formulary: FormularyVersion, ada: User, kind: str, language: str
) -> None:
    """With the very ingredients that the figure is claimed for in the mixture."""
    plan = signed_plan(by=ada)
    assert {"biochanin_a", "acetyl_tetrapeptide_3"} <= {
        line["ingredient"] for syringe in plan.result["syringes"] for line in syringe["lines"]
    }
    plan.patient.language = language
    part = plan_part(plan, kind=kind)
    assert not FIGURE.search(json.dumps(part["context"], ensure_ascii=False, default=str))


def test_the_figure_stands_among_the_claims_and_nowhere_else(formulary: FormularyVersion) -> None:
    """In the formulary, which pages, prints and the API are made of, and in every text that is translated."""
    documents = json.loads(json.dumps(documents_of(formulary)))
    claimed = {name: documents["sources"].pop(name) for name in ("article_claims", "claim_tracing")}
    assert FIGURE.search(json.dumps(claimed)) and not FIGURE.search(json.dumps(documents))
    of_claims = set(texts_at({"sources": claimed}, [f"sources.{field}" for field in FORMULARY_TEXTS["sources"]]))
    for kind in messages.FOLDERS:
        for language in messages.LANGUAGES:
            texts = [
                (message.id, string)
                for message in messages.messages_of(messages.read(kind, language))
                for string in messages.strings_of(message)
            ]
            assert {text for text, said in texts if FIGURE.search(said)} <= of_claims, (kind, language)


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_no_answer_of_the_api_holds_the_marketing_figure(
    formulary: FormularyVersion, ada: User, sign_in, language: str
) -> None:
    ada.language = language
    ada.save()
    client, plan = sign_in(ada), signed_plan(by=ada)
    ingredients = [Ingredient.objects.get(key=key).public_id for key in ("biochanin_a", "acetyl_tetrapeptide_3")]
    for path in ("ingredients/", *(f"ingredients/{one}/" for one in ingredients), f"plans/{plan.public_id}/"):
        answer = client.get(f"/api/v1/{path}")
        assert answer.status_code == 200, path
        assert re.search("biochanin_a|acetyl_tetrapeptide_3", answer.content.decode()), path
        assert not FIGURE.search(json.dumps(answer.json(), ensure_ascii=False)), path


@pytest.mark.parametrize("text", ["156%", "52\u00a0%", "52 per cent", "156 pour cent", "156&nbsp;%"])
def test_the_search_for_the_figure_would_find_it(text: str) -> None:
    assert FIGURE.search(f"hair grew {text} more") and not FIGURE.search("1156 mm, 52 weeks, 152%")


def test_ingredient_choices_are_those_in_force(formulary: FormularyVersion) -> None:
    names = dict(ingredient_choices())
    assert names["biochanin_a"] == "Biochanin A"
    assert len(names) == formulary.entries.count()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("loing_2013", "Loing 2013"),
        ("who_injection_2010", "World Health Organization 2010"),
        ("siquier_dameto_2024", "Siquier-Dameto 2024"),
        ("van_zuuren_2016", "van Zuuren 2016"),
        ("lueangarun_2020", "Lueangarun 2020"),
        ("fda_biotin_2019", "US Food and Drug Administration 2019"),
        ("clinic_default", "Clinic default"),
    ],
)
def test_a_source_as_people_say_it(key: str, said: str) -> None:
    sources = {item["id"]: item for item in load_documents()["sources"]["sources"]}

    assert short_source(key, sources[key]) == said


def test_every_source_has_a_name_of_its_citation() -> None:
    for item in load_documents()["sources"]["sources"]:
        said = short_source(item["id"], item)
        assert "_" not in said and len(said) <= 60, said


# ------------------------------------------------------------------ versions


def test_the_director_loads_confirms_and_publishes_on_the_pages(dora: User, sign_in) -> None:
    client = sign_in(dora)
    made = client.post(reverse("protocols:version_new"), {"label": "2026.1"})
    version = FormularyVersion.objects.get()
    assert made.url == reverse("protocols:version", args=[version.public_id])
    assert "before-sign" not in made.content.decode()

    refused = client.post(reverse("protocols:version_publish", args=[version.public_id]))
    waiting = [entry.ingredient for entry in unconfirmed_entries(version)]
    assert refused.status_code == 409
    assert all(ingredient.name in refused.content.decode() for ingredient in waiting)

    off, *rest = waiting
    client.post(reverse("protocols:entry_switch", args=[version.public_id, off.public_id]), {"active": "0"})
    for ingredient in rest:
        client.post(reverse("protocols:entry_confirm", args=[version.public_id, ingredient.public_id]))
    done = client.post(reverse("protocols:version_publish", args=[version.public_id]))

    assert done.status_code == 302
    assert formulary_in_force() == version
    assert version.entries.get(ingredient=off).is_active is False


def test_a_switch_by_htmx_brings_the_page_body_back(dora: User, sign_in) -> None:
    version = draft_formulary(by=dora)
    biotin = Ingredient.objects.get(key="biotin")
    answer = sign_in(dora).post(
        reverse("protocols:entry_switch", args=[version.public_id, biotin.public_id]),
        {"active": "0"},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 200
    assert answer.content.decode().strip().startswith('<div id="version-body">')
    assert version.entries.get(ingredient=biotin).is_active is False


def test_a_label_that_is_taken_is_refused_beside_its_field(formulary: FormularyVersion, dora: User, sign_in) -> None:
    answer = sign_in(dora).post(reverse("protocols:version_new"), {"label": formulary.label})
    assert answer.status_code == 400
    assert answer.context["form"].errors["label"] == ["There is a formulary 2026.1 already."]
    assert 'value="2026.1"' in answer.content.decode()


@pytest.mark.parametrize("who", ["ada", "ben", "cleo"])
def test_only_the_director_may_post(request: pytest.FixtureRequest, dora: User, sign_in, who: str) -> None:
    version = draft_formulary(by=dora)
    biotin = Ingredient.objects.get(key="biotin")
    client = sign_in(request.getfixturevalue(who))
    for url in (
        reverse("protocols:version_new"),
        reverse("protocols:version_publish", args=[version.public_id]),
        reverse("protocols:entry_switch", args=[version.public_id, biotin.public_id]),
        reverse("protocols:entry_confirm", args=[version.public_id, biotin.public_id]),
    ):
        assert client.post(url).status_code == 403
    version.refresh_from_db()
    assert version.status == FormularyStatus.DRAFT


def test_a_published_version_offers_no_switch(formulary: FormularyVersion, dora: User, sign_in) -> None:
    text = sign_in(dora).get(reverse("protocols:version", args=[formulary.public_id])).content.decode()
    assert "entries/" not in text
    assert "It does not change any more." in text


# ------------------------------------------------------------------ cost


def queries(client, url: str) -> int:
    client.get(url)  # documents and the built formulary are kept per process
    with CaptureQueriesContext(
        connection,
    ) as found:
        assert client.get(url).status_code == 200
    return len(found)


def test_lists_cost_the_same_at_3_and_at_300_rows(formulary: FormularyVersion, dora: User, sign_in) -> None:
    client = sign_in(dora)
    urls = [reverse("protocols:versions"), reverse("protocols:catalogue")]
    before = [queries(client, url) for url in urls]
    assert max(before) <= 12, before

    FormularyVersion.objects.bulk_create(
        FormularyVersion(label=f"x{n}", documents={}, sha256=f"{n}") for n in range(300)
    )
    assert [queries(client, url) for url in urls] == before
