"""The catalogues of translations: collect the texts, hold them against the code, compile them. No GNU gettext needed.

    python scripts/messages.py collect            write what is to be translated into locale/ (`make messages`)
    python scripts/messages.py check              fail for a text that is missing, empty or lacks a placeholder
    python scripts/messages.py compile            .po to .mo; set-up, tests and the image do this
    python scripts/messages.py reviewed fr "part of a text" --by "Dr Moreau"     take the mark off

Two catalogues for each language: locale/<language> holds the interface, locale/clinical/<language> what a clinician has
to answer for: the formulary, the intake's vocabulary and the papers that patients read. A translation there that nobody
with the knowledge has read carries the comment “# to be reviewed”.
"""

from __future__ import annotations

import ast
import io
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("fr", "es")
FOLDERS = {"interface": ROOT / "locale", "clinical": ROOT / "locale/clinical"}
PACKAGES = ("mesoclinic", "patients", "protocols", "sessions")
TO_REVIEW = "to be reviewed"
# Papers that a patient reads or signs: a clinician answers for their words.
CLINICAL_TEMPLATES = ("consent", "aftercare", "plan_patient", "_advice", "_expect")
PLURALS = {"fr": "nplurals=2; plural=(n > 1);", "es": "nplurals=2; plural=(n != 1);"}
# Function: whether it begins with a context, and how many texts it takes.
KEYWORDS: dict[str, tuple[int, int]] = {
    "_": (0, 1), "_t": (0, 1), "gettext": (0, 1), "gettext_lazy": (0, 1), "gettext_noop": (0, 1),
    "ngettext": (0, 2), "ngettext_lazy": (0, 2),
    "pgettext": (1, 1), "pgettext_lazy": (1, 1), "npgettext": (1, 2),
}  # fmt: skip
Key = tuple[str, str | tuple[str, str]]  # context, and the text or its singular and plural


def po_file(kind: str, language: str) -> Path:
    return FOLDERS[kind] / language / "LC_MESSAGES/django.po"


# ------------------------------------------------------------------ collecting


def from_source(source: str) -> Iterator[Key]:
    """The texts that stand as such in a call; what is looked up by a variable is collected from where it is written."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if function not in KEYWORDS:
            continue
        with_context, count = KEYWORDS[function]
        given = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args]
        texts = [text for text in given[with_context : with_context + count] if isinstance(text, str) and text.strip()]
        if len(texts) == count:
            context = str(given[0]) if with_context else ""
            yield (context, texts[0] if count == 1 else (texts[0], texts[1]))


STRING = r"""u?(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
CALL = re.compile(rf"(?<!\w)(?:(?:np?|p)?gettext|_)\((?:\s*{STRING}\s*,?)+")


def from_template(source: str, origin: str) -> Iterator[Key]:
    """Django turns a template into something like Python, which only its calls are."""
    from django.utils.translation.template import templatize

    for call in CALL.findall(templatize(source, origin=origin)):
        yield from from_source(call.rstrip(", ") + ", 0)")


def collected() -> dict[str, set[Key]]:
    """Every text that the product can show, by catalogue. One that is clinical is in the clinical one only."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mesoclinic.settings")
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from mesoclinic.core.texts import texts_at
    from patients.texts import MEDICINE_TEXTS, VOCABULARY_TEXTS
    from patients.vocabulary import read_yaml
    from protocols.formulary.texts import FORMULARY_TEXTS

    found: dict[str, set[Key]] = {"interface": set(), "clinical": set()}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in file.parts:
                found["interface"] |= set(from_source(file.read_text(encoding="utf-8")))
    for file in sorted([*(ROOT / "templates").rglob("*.html"), *(ROOT / "templates").rglob("*.txt")]):
        kind = "clinical" if file.parent.name == "documents" and file.stem in CLINICAL_TEMPLATES else "interface"
        found[kind] |= set(from_template(file.read_text(encoding="utf-8"), str(file)))
    data = [(ROOT / "patients/vocabulary", name, addresses) for name, addresses in VOCABULARY_TEXTS.items()]
    data.append((ROOT / "patients/vocabulary", "medicines", MEDICINE_TEXTS))
    data += [(ROOT / "protocols/formulary", name, addresses) for name, addresses in FORMULARY_TEXTS.items()]
    for folder, name, addresses in data:
        found["clinical"] |= {("", text) for text in texts_at(read_yaml(folder / f"{name}.yaml"), addresses)}
    plain = {key for key in found["interface"] if isinstance(key[1], tuple)}
    singular = {(context, texts[0]) for context, texts in plain}
    found["interface"] -= found["clinical"] | singular  # a text that is also a singular is found under its plural
    return found


# ------------------------------------------------------------------ the files


def key_of(message: Message) -> Key:
    return (message.context or "", message.id if isinstance(message.id, str) else (message.id[0], message.id[1]))


def read(kind: str, language: str) -> Catalog:
    file = po_file(kind, language)
    if not file.exists():
        return Catalog(locale=language, fuzzy=False)
    with file.open("rb") as opened:
        return read_po(opened, locale=language)


def messages_of(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


def write(kind: str, language: str, messages: Iterable[Message]) -> None:
    """Sorted, without dates and line numbers, so that two people's changes seldom meet."""
    catalog = Catalog(locale=language, fuzzy=False)
    for message in sorted(
        messages, key=lambda one: (one.id if isinstance(one.id, str) else one.id[0], one.context or "")
    ):
        flags = set(message.flags) - {"fuzzy"}
        catalog.add(
            message.id, message.string, flags=flags, user_comments=message.user_comments, context=message.context
        )
    body = io.BytesIO()
    write_po(body, catalog, width=110, no_location=True, omit_header=True)
    header = "".join(
        f'"{line}\\n"\n'
        for line in (
            f"Language: {language}",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
            f"Plural-Forms: {PLURALS[language]}",
        )
    )
    file = po_file(kind, language)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'msgid ""\nmsgstr ""\n{header}\n{body.getvalue().decode()}', encoding="utf-8")


def collect() -> int:
    """Bring the catalogues up to date. What is translated stays, what is gone goes, what is new is empty."""
    wanted = collected()
    for language in LANGUAGES:
        known = {key_of(m): m for kind in FOLDERS for m in messages_of(read(kind, language)) if m.string}
        for kind, keys in wanted.items():
            messages = []
            for key in keys:
                context, text = key
                message = Message(text, string="" if isinstance(text, str) else ("", ""), context=context or None)
                if old := known.get(key):
                    message.string, message.user_comments = old.string, list(old.user_comments)
                clinical = kind == "clinical" and not any("review" in comment for comment in message.user_comments)
                if clinical:
                    message.user_comments.insert(0, TO_REVIEW)
                if kind == "interface":
                    message.user_comments = [comment for comment in message.user_comments if comment != TO_REVIEW]
                messages.append(message)
            write(kind, language, messages)
            lacking = sum(not strings_of(message)[0] for message in messages)
            print(f"{language} {kind}: {len(messages)} texts, {lacking} to translate")
    return 0


# ------------------------------------------------------------------ checking

PLACEHOLDER = re.compile(r"%\([a-zA-Z_]\w*\)[a-z]|%%|(?<!%)%[sd](?![a-z])|\{[a-zA-Z_]\w*\}|</?[a-z][^>]*>")


def strings_of(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else [text or "" for text in message.string or ()]


def placeholders(text: str) -> Counter[str]:
    return Counter(PLACEHOLDER.findall(text))


def faults_of(message: Message) -> Iterator[str]:
    """What is wrong with one translation."""
    originals = [message.id] if isinstance(message.id, str) else list(message.id)
    strings = strings_of(message)
    if not all(strings):
        yield "has no translation" if len(strings) == 1 else "lacks a form of its plural"
        return
    if len(originals) != len(strings):
        yield f"needs {len(originals)} forms and has {len(strings)}"
    sets = [placeholders(text) for text in originals]
    needed, allowed = set.intersection(*map(set, sets)), set.union(*map(set, sets))
    for text in strings:
        held = placeholders(text)
        if len(originals) == 1 and held != sets[0]:
            yield f"holds {sorted(held.elements())} instead of {sorted(sets[0].elements())}"
        elif not needed <= set(held) <= allowed:
            yield f"holds {sorted(held)} instead of {sorted(allowed)}"
        for at in (0, -1):
            if text[at].isspace() != originals[0][at].isspace():
                yield "begins or ends with a space where the original does not, or the other way round"
        if text.count("\n") != originals[0].count("\n"):
            yield "has other line breaks"
    if "fuzzy" in message.flags:
        yield "is fuzzy: fuzzy texts are not shown; mend it and take the flag off"


def check() -> int:
    found = []
    wanted = collected()
    for language in LANGUAGES:
        for kind, keys in wanted.items():
            messages = {key_of(message): message for message in messages_of(read(kind, language))}
            name = po_file(kind, language).relative_to(ROOT)
            found += [
                f"{name}: lacks {_shown(key)}: run make messages" for key in sorted(keys - set(messages), key=str)
            ]
            found += [
                f"{name}: nothing shows {_shown(key)}: run make messages"
                for key in sorted(set(messages) - keys, key=str)
            ]
            for key, message in messages.items():
                found += [f"{name}: {_shown(key)} {fault}" for fault in faults_of(message)]
    print("\n".join(found) if found else "Every text has its translations.")
    return 1 if found else 0


def _shown(key: Key) -> str:
    text = key[1] if isinstance(key[1], str) else key[1][0]
    return f"“{text[:70]}{'…' if len(text) > 70 else ''}”"


# ------------------------------------------------------------------ compiling and reviewing


def compile_changed() -> int:
    """Each .po into its .mo where that is missing or older. Several processes may do it at once."""
    done = 0
    for kind in FOLDERS:
        for language in LANGUAGES:
            source, target = po_file(kind, language), po_file(kind, language).with_suffix(".mo")
            if not source.exists() or (target.exists() and target.stat().st_mtime_ns > source.stat().st_mtime_ns):
                continue
            written = io.BytesIO()
            write_mo(written, read(kind, language))
            beside = target.with_suffix(f".{os.getpid()}")
            beside.write_bytes(written.getvalue())
            beside.replace(target)
            done += 1
    return done


def reviewed(arguments: list[str]) -> int:
    """Say that somebody with the knowledge has read a translation: its mark goes, their name stays."""
    if len(arguments) != 4 or arguments[0] not in LANGUAGES or arguments[2] != "--by" or not arguments[3].strip():
        print('messages.py reviewed fr "part of the English or of the translation" --by "Name"')
        return 2
    language, part, _by, name = arguments
    catalog, count = read("clinical", language), 0
    for message in messages_of(catalog):
        texts = [*([message.id] if isinstance(message.id, str) else message.id), *strings_of(message)]
        if TO_REVIEW in message.user_comments and (part == "*" or any(part in text for text in texts)):
            print(f"- {texts[0]}\n  {strings_of(message)[0]}")
            message.user_comments = [c for c in message.user_comments if c != TO_REVIEW] + [
                f"reviewed by {name.strip()}"
            ]
            count += 1
    write("clinical", language, messages_of(catalog))
    print(f"{count} texts are marked as reviewed by {name.strip()}.")
    return 0 if count else 1


def main(arguments: list[str]) -> int:
    what = arguments[0] if arguments else ""
    if what == "collect":
        return collect()
    if what == "check":
        return check()
    if what == "compile":
        done = compile_changed()
        print(f"compiled {done} files" if done else "unchanged")
        return 0
    if what == "reviewed":
        return reviewed(arguments[1:])
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
