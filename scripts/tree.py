"""The tree of the house in docs/architecture.md: every folder and module with one line, which is its docstring's first.

python scripts/tree.py          say what is missing or differs, and end with 1 if anything does
python scripts/tree.py write    write the tree anew
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = ("mesoclinic", "patients", "protocols", "sessions")
LEFT_OUT = {"migrations", "__pycache__"}
BEGIN, END = "<!-- tree: scripts/tree.py write -->", "<!-- end of tree -->"


def first_line(file: Path) -> str:
    """Return the first line of a module's docstring, empty where it has none."""
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return said.splitlines()[0].strip() if said else ""


def folders(package: Path) -> Iterator[Path]:
    """Yield a package and every package below it, in the order of a listing."""
    yield package
    for folder in sorted(entry for entry in package.iterdir() if entry.is_dir() and entry.name not in LEFT_OUT):
        if (folder / "__init__.py").exists():
            yield from folders(folder)


def modules(folder: Path) -> list[Path]:
    """Return the modules that stand directly in a folder, without the one that stands for the folder."""
    return sorted(file for file in folder.glob("*.py") if file.name != "__init__.py")


def without_a_line(root: Path = ROOT) -> list[str]:
    """Return the modules and folders whose docstring says nothing: each needs its row."""
    return [
        str(file.relative_to(root))
        for package in PACKAGES
        for folder in folders(root / package)
        for file in [folder / "__init__.py", *modules(folder)]
        if not first_line(file) and "management" not in file.parts[:-1]
    ]


def tree(root: Path = ROOT) -> str:
    """Return the tree as Markdown: a heading for each package, a table for each of its folders."""
    lines = []
    for package in PACKAGES:
        lines += [f"### {package}/", ""]
        for folder in folders(root / package):
            files = modules(folder)
            if not files:
                continue
            place = folder.relative_to(root).as_posix()
            lines += [f"| `{place}/` | {first_line(folder / '__init__.py')} |", "|---|---|"]
            lines += [f"| `{file.stem}` | {first_line(file)} |" for file in files]
            lines.append("")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    wanted = f"{head}{BEGIN}\n\n{tree()}\n{END}{tail}"
    if arguments == ["write"]:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    missing = without_a_line()
    for name in missing:
        print(f"{name} has no docstring: its first line is its row in docs/architecture.md")
    if page != wanted:
        print("docs/architecture.md: the tree is another. Write it anew: python scripts/tree.py write")
    return 1 if missing or page != wanted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
