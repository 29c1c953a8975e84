"""Several of our own PDFs bound into one, with all their tags: each file is read, renumbered and let go.

It reads what our engine writes (one object stream, one cross-reference stream, no encryption, no annotations with
pages of their own) and refuses anything else. No layout is held, so a pack costs the memory of its bytes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

# A string, which holds whatever it likes, or a reference to another object.
_REFERENCE = re.compile(rb"\((?:[^()\\]|\\.)*\)|(?<![\d.])(\d+) 0 R\b", re.S)
_STREAM = re.compile(rb"(\d+) 0 obj\n(<<.*?>>)\nstream\n", re.S)
_CELL_ID = re.compile(rb"\((\d+-\d+-\d+)\)")
_PAGES, _CATALOG, _TREE, _TOP, _PARENTS, _METADATA, _INFO, _OUTLINES = range(1, 9)  # the first objects of what is bound


class CannotBind(Exception):
    """Not a file that our engine wrote."""


@dataclass(frozen=True, kw_only=True)
class Part:
    data: bytes
    title: str  # its bookmark
    language: str


@dataclass(kw_only=True)
class _File:
    """One file as it is read: plain objects and streams by number, and which of them are the roots."""

    objects: dict[int, bytes]
    streams: dict[int, tuple[bytes, bytes]]
    root: int
    info: int | None


@dataclass(frozen=True, kw_only=True)
class Bound:
    data: bytes
    pages: int


def bind(parts: Iterable[Part], *, title: str, language: str) -> Bound:
    """One tagged PDF/UA-1 of all ``parts`` in their order. The same parts give the same bytes."""
    made = _Binder()
    for part in parts:
        made.add(part)
    if not made.pages:
        raise CannotBind("There is nothing to bind.")
    return Bound(data=made.finish(title=title, language=language), pages=len(made.pages))


@dataclass(kw_only=True)
class _Binder:
    out: bytearray = field(default_factory=lambda: bytearray(b"%PDF-1.7\n%\xf0\x9f\x96\xa4\n"))
    places: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # number: a line of the cross-reference table
    next_number: int = _OUTLINES + 1
    next_key: int = 0  # of the parent tree, which leads from content to its tag
    pages: list[int] = field(default_factory=list)
    tops: list[int] = field(default_factory=list)  # the topmost tag of each part
    parents: list[bytes] = field(default_factory=list)
    marks: list[tuple[bytes, int]] = field(default_factory=list)  # title and first page of each part

    def add(self, part: Part) -> None:
        file = _read(part.data)
        base, first_key, prefix = self.next_number, self.next_key, f"{len(self.marks)}-".encode()
        catalog = file.objects[file.root]
        tree = file.objects[_named(catalog, b"StructTreeRoot")]
        parent_tree, top = _named(tree, b"ParentTree"), _named(tree, b"K")
        gone = {file.root, file.info, _named(catalog, b"Metadata"), _named(catalog, b"Pages"), parent_tree}
        gone |= {_named(catalog, b"StructTreeRoot"), *_outline(file, catalog)}

        def moved(text: bytes) -> bytes:
            return _REFERENCE.sub(lambda found: b"%d 0 R" % (base + int(found[1])) if found[1] else found[0], text)

        plain: list[tuple[int, bytes]] = []
        for number, text in file.objects.items():
            if number in gone:
                continue
            if b"/Type /Page/" in text:
                self.pages.append(base + number)
                text = re.sub(rb"/Parent \d+ 0 R", b"", text)
                text = moved(_shifted(text, b"StructParents", first_key))[:-2] + b"/Parent %d 0 R>>" % _PAGES
            elif number == top:
                text = moved(re.sub(rb"/P \d+ 0 R", b"", text).replace(b"/S /Document", b"/S /Part"))[:-2]
                text += b"/P %d 0 R/Lang %s/T %s>>" % (_TOP, _text(part.language), _text(part.title))
                self.tops.append(base + number)
            else:
                text = moved(_shifted(text, b"StructParent", first_key))
                if b"/Type /StructElem" in text:  # the ids of table heads are told apart by the part
                    text = _CELL_ID.sub(lambda found: b"(" + prefix + found[1] + b")", text)
            plain.append((base + number, text))
        keys = _parent_entries(file.objects[parent_tree])
        self.parents += [b"%d %s" % (first_key + key, moved(value)) for key, value in keys]
        self.next_key = first_key + len(keys)
        self.marks.append((_text(part.title), next(number for number, text in plain if b"/Type /Page/" in text)))
        for number, (head, body) in file.streams.items():
            if number not in gone:
                self._stream(base + number, moved(head), body)
        self.next_number = base + max([*file.objects, *file.streams]) + 1
        self._packed(plain)

    def finish(self, *, title: str, language: str) -> bytes:
        marks = range(self.next_number, self.next_number + len(self.marks))
        self.next_number += len(self.marks)
        xmp = zlib.compress(_XMP.format(title=escape(title)).encode(), 9)
        self._stream(_METADATA, b"<</Type /Metadata/Subtype /XML/Filter /FlateDecode/Length %d>>" % len(xmp), xmp)
        self._packed(
            [
                (_PAGES, b"<</Type /Pages/Kids [%s]/Count %d>>" % (_references(self.pages), len(self.pages))),
                (
                    _CATALOG,
                    b"<</Type /Catalog/Pages %d 0 R/Lang %s/StructTreeRoot %d 0 R/Metadata %d 0 R/Outlines %d 0 R"
                    b"/MarkInfo <</Marked true>>/ViewerPreferences <</DisplayDocTitle true>>>>"
                    % (_PAGES, _text(language), _TREE, _METADATA, _OUTLINES),
                ),
                (
                    _TREE,
                    b"<</Type /StructTreeRoot/ParentTree %d 0 R/ParentTreeNextKey %d/K [%d 0 R]>>"
                    % (_PARENTS, self.next_key, _TOP),
                ),
                (_TOP, b"<</Type /StructElem/S /Document/P %d 0 R/K [%s]>>" % (_TREE, _references(self.tops))),
                (_PARENTS, b"<</Nums [%s]>>" % b" ".join(self.parents)),
                (_INFO, b"<</Title %s/Producer (mesoclinic)>>" % _text(title)),
                (_OUTLINES, b"<</First %d 0 R/Last %d 0 R/Count %d>>" % (marks[0], marks[-1], len(marks))),
                *(
                    (
                        number,
                        b"<</Title %s/Parent %d 0 R/Dest [%d 0 R /Fit]%s%s>>"
                        % (
                            words,
                            _OUTLINES,
                            page,
                            b"/Prev %d 0 R" % (number - 1) if number > marks[0] else b"",
                            b"/Next %d 0 R" % (number + 1) if number < marks[-1] else b"",
                        ),
                    )
                    for number, (words, page) in zip(marks, self.marks, strict=True)
                ),
            ]
        )
        return self._closed()

    def _stream(self, number: int, head: bytes, body: bytes) -> None:
        self.places[number] = (1, len(self.out), 0)
        self.out += b"%d 0 obj\n%s\nstream\n" % (number, head) + body + b"\nendstream\nendobj\n"

    def _packed(self, objects: list[tuple[int, bytes]]) -> None:
        """Plain objects go into one compressed stream."""
        number, self.next_number = self.next_number, self.next_number + 1
        index, position = [], 0
        for order, (one, text) in enumerate(objects):
            self.places[one] = (2, number, order)
            index.append(b"%d %d" % (one, position))
            position += len(text) + 1
        head = b" ".join(index) + b"\n"
        body = zlib.compress(head + b"\n".join(text for _, text in objects), 9)
        self._stream(
            number,
            b"<</Type /ObjStm/N %d/First %d/Filter /FlateDecode/Length %d>>" % (len(objects), len(head), len(body)),
            body,
        )

    def _closed(self) -> bytes:
        number, start = self.next_number, len(self.out)
        self.places[number] = (1, start, 0)
        lines = bytearray()
        for one in range(number + 1):  # a number that was left out is a free one
            kind, where, which = self.places.get(one, (0, 0, 65535))
            lines += kind.to_bytes(1) + where.to_bytes(4) + which.to_bytes(2)
        body = zlib.compress(bytes(lines), 9)
        self._stream(
            number,
            b"<</Type /XRef/W [1 4 2]/Size %d/Root %d 0 R/Info %d 0 R/Filter /FlateDecode/Length %d>>"
            % (number + 1, _CATALOG, _INFO, len(body)),
            body,
        )
        self.out += b"startxref\n%d\n%%%%EOF\n" % start
        return bytes(self.out)


# ------------------------------------------------------------------ reading


def _read(data: bytes) -> _File:
    try:
        start = int(data[data.rindex(b"startxref") + 9 :].split()[0])
        head, body, _end = _stream_at(data, start)
        lines, widths = zlib.decompress(body), [int(part) for part in _list(head, b"W").split()]
    except (ValueError, IndexError, KeyError, zlib.error) as error:
        raise CannotBind(f"Its table of contents cannot be read: {error}") from None
    file = _File(
        objects={}, streams={}, root=_named(head, b"Root"), info=_named(head, b"Info") if b"/Info " in head else None
    )
    packs: dict[int, list[bytes]] = {}
    entries = list(_entries(lines, widths))
    own = next(number for number, (kind, place, _) in enumerate(entries) if kind == 1 and place == start)
    packed = {place for kind, place, _ in entries if kind == 2}
    for number, (kind, place, index) in enumerate(entries):
        if kind == 1 and number != own and number not in packed:
            file.streams[number] = _stream_at(data, place)[:2]
        elif kind == 2:
            if place not in packs:
                packs[place] = _unpacked(*_stream_at(data, entries[place][1])[:2])
            file.objects[number] = packs[place][index]
    return file


def _entries(lines: bytes, widths: list[int]) -> Iterator[tuple[int, int, int]]:
    first, second, third = widths
    for at in range(0, len(lines), sum(widths)):
        kind, place = lines[at : at + first], lines[at + first : at + first + second]
        rest = lines[at + first + second : at + first + second + third]
        yield int.from_bytes(kind), int.from_bytes(place), int.from_bytes(rest)


def _stream_at(data: bytes, place: int) -> tuple[bytes, bytes, int]:
    found = _STREAM.match(data, place)
    if found is None:
        raise CannotBind("An object is not where the file says it is.")
    length = _number(found[2], b"Length")
    return found[2], data[found.end() : found.end() + length], found.end() + length


def _unpacked(head: bytes, body: bytes) -> list[bytes]:
    text, first, count = zlib.decompress(body), _number(head, b"First"), _number(head, b"N")
    at = [int(part) for part in text[:first].split()][1::2]
    if len(at) != count:
        raise CannotBind("A pack of objects is damaged.")
    ends = [*at[1:], len(text) - first]
    return [text[first + begin : first + end].strip() for begin, end in zip(at, ends, strict=True)]


def _outline(file: _File, catalog: bytes) -> set[int]:
    """The bookmarks of a part, which are not taken over: one leads to each part instead."""
    if b"/Outlines " not in catalog:
        return set()
    found, waiting = set(), [_named(catalog, b"Outlines")]
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            text = file.objects[number]
            waiting += [_named(text, key) for key in (b"First", b"Next") if b"/" + key + b" " in text]
    return found


def _parent_entries(text: bytes) -> list[tuple[int, bytes]]:
    """Key and value of each entry of the parent tree: a list of tags, or one tag."""
    found = re.search(rb"/Nums \[(.*)\]>>$", text, re.S)
    if found is None:
        raise CannotBind("Its parent tree cannot be read.")
    return [(int(key), value) for key, value in re.findall(rb"(\d+) (\[[^\]]*\]|\d+ 0 R)", found[1])]


def _named(text: bytes, key: bytes) -> int:
    """The number of the object that ``key`` leads to."""
    found = re.search(rb"/" + key + rb" \[?(\d+) 0 R", text)
    if found is None:
        raise CannotBind(f"It holds no {key.decode()}.")
    return int(found[1])


def _number(text: bytes, key: bytes) -> int:
    found = re.search(rb"/" + key + rb" (\d+)", text)
    if found is None:
        raise CannotBind(f"It holds no {key.decode()}.")
    return int(found[1])


def _list(text: bytes, key: bytes) -> bytes:
    found = re.search(rb"/" + key + rb" \[([^\]]*)\]", text)
    if found is None:
        raise CannotBind(f"It holds no {key.decode()}.")
    return found[1]


# ------------------------------------------------------------------ writing


def _shifted(text: bytes, key: bytes, by: int) -> bytes:
    return re.sub(rb"/" + key + rb" (\d+)", lambda found: b"/%s %d" % (key, by + int(found[1])), text)


def _references(numbers: list[int]) -> bytes:
    return b" ".join(b"%d 0 R" % number for number in numbers)


def _text(words: str) -> bytes:
    return b"<feff" + words.encode("utf-16-be").hex().encode() + b">"


_XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/" \
xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" pdfuaid:part="1"/>
<rdf:Description rdf:about=""><dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>\
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""
