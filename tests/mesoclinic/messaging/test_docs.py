from __future__ import annotations

from pathlib import Path

from mesoclinic.messaging.models import TRANSITIONS

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/messages.md"


def drawing() -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> held", "    [*] --> queued"]
    for state, following in TRANSITIONS.items():
        lines += [f"    {state} --> {after}" for after in sorted(following)]
        if not following:
            lines.append(f"    {state} --> [*]")
    return "\n".join([*lines, "```"])


def test_page_draws_the_states_as_they_are() -> None:
    text = PAGE.read_text(encoding="utf-8")

    drawn = text.split("messaging/models.py -->\n")[1].split("\n<!-- end of states")[0]
    assert drawn == drawing()


def test_page_explains_every_state() -> None:
    rows = {line.split(" | ")[0].removeprefix("| ") for line in PAGE.read_text(encoding="utf-8").splitlines()}

    assert {str(state) for state in TRANSITIONS} <= rows
