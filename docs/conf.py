"""The documentation site: `make docs` builds it from these pages into var/docs, with nothing fetched from anywhere."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mesoclinic.version import version as newest_release  # noqa: E402

project = "mesoclinic"
author = "the mesoclinic project"
release = newest_release()
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns: list[str] = []
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
# A diagram stays as its source: what would draw it in the browser comes from another host.
highlight_language = "text"
suppress_warnings = ["misc.highlighting_failure", "myst.xref_missing"]
html_theme = "furo"
html_title = f"mesoclinic {release}"
html_static_path: list[str] = []
html_favicon = str(ROOT / "static/img/favicon.svg")
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}
