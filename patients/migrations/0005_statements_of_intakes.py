import hashlib
import re
import unicodedata

from django.db import migrations

_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "'": "", "’": "", "ʼ": ""}
)
_DATED = re.compile(r"^\d{4}-\d{2}-\d{2}: ")


def fold(text):
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).translate(_LETTERS)
    return " ".join(re.sub(r"[\W_]", " ", plain).split())


def fingerprint(kind, text, about):
    bare = fold(_DATED.sub("", text)) or text
    kind = "note" if kind == "illness" else kind
    return hashlib.sha256(f"{kind}\n{about}\n{bare}".encode()).hexdigest()


def words_of(intake):
    """(kind, text, about) of what the intake says in words; a medicine that was read is none of it."""
    for entry in intake.medicines:
        if entry.get("state") != "known" or entry.get("leftover"):
            yield "medicine", entry["text"], ""
    for line in intake.other_allergies.splitlines():
        yield "allergy", line, ""
    for fact, kind in (("conditions", "illness"), ("allergies", "allergy")):
        chosen = intake.facts.get(fact)
        for value, text in intake.details.get(fact, {}).items():
            if isinstance(chosen, list) and value in chosen:
                yield kind, text, f"{fact}:{value}"
    for line in intake.note.splitlines():
        yield "note", line, ""


def say_what_stands(apps, schema_editor):
    """The newest submitted intake of each record: what it says in words was acknowledged in plans, and is open now."""
    intakes = apps.get_model("patients", "Intake").objects
    statement = apps.get_model("patients", "Statement")
    newest = {}
    submitted = intakes.filter(status="submitted").order_by("patient_id", "number")
    for pk, patient in submitted.values_list("pk", "patient_id").iterator(chunk_size=2000):
        newest[patient] = pk
    keys = sorted(newest.values())
    for begin in range(0, len(keys), 500):
        rows = []
        for intake in intakes.filter(pk__in=keys[begin : begin + 500]).order_by("pk"):
            seen = set()
            for kind, text, about in words_of(intake):
                tidy = " ".join(text.split())
                mark = fingerprint(kind, tidy, about)
                if not fold(tidy) or mark in seen:
                    continue
                seen.add(mark)
                rows.append(
                    statement(
                        patient_id=intake.patient_id,
                        kind=kind,
                        text=tidy,
                        about=about,
                        fingerprint=mark,
                        source="intake",
                        source_id=intake.public_id,
                        said_at=intake.submitted_at,
                        said_by_id=intake.submitted_by_id,
                    )
                )
        statement.objects.bulk_create(rows)


class Migration(migrations.Migration):
    dependencies = [("patients", "0004_statements")]

    operations = [migrations.RunPython(say_what_stands, migrations.RunPython.noop)]
