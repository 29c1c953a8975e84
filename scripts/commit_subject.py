"""Refuse a commit whose subject is too long or not a plain imperative sentence: `commit_subject.py MESSAGE_FILE`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

LONGEST = 72  # characters


def fault(message: str) -> str:
    """Return what is wrong with the first line of ``message``; empty where nothing is."""
    subject = message.splitlines()[0] if message.splitlines() else ""
    if not subject.strip():
        return "The message has no subject."
    if len(subject) > LONGEST:
        return f"The subject has {len(subject)} characters; at most {LONGEST}. Put the why into the body."
    if subject.endswith("."):
        return "The subject ends with a full stop; leave it out."
    if re.match(r"(feat|fix|chore|docs|refactor|test|style|perf)(\(.*\))?!?:", subject):
        return "Write a sentence (“Refuse a session inside the interval”), without a prefix."
    return ""


if __name__ == "__main__":
    said = fault(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if said:
        sys.exit(said)
