"""Configuration of the documentation site: `make site` builds it, without network, and fails on a warning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_INIT = (Path(__file__).parent.parent / "client" / "src" / "whohas_client" / "__init__.py").read_text()

project = "whohas"
author = "whohas contributors"
project_copyright = author
release = version = re.findall(r'__version__ = "(.*)"', _INIT)[0]

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["*.in.md"]
root_doc = "index"
nitpicky = True

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+((?:src|examples|bench|tests|tools)/[^)#]*)[^)]*\)")


def _name_outside_files(_app: object, _name: str, text: list[str]) -> None:
    """Name files outside the site by their path: links to them work on a code hosting platform alone."""
    for path in _OUTSIDE.findall(text[0]):
        if not (Path(__file__).parent.parent / path[1]).exists():
            raise FileNotFoundError(f"A page links to {path[1]}, which does not exist.")
    text[0] = _OUTSIDE.sub(r"\1 (`\2` in the repository)", text[0])


def setup(app: Any) -> None:
    app.connect("source-read", _name_outside_files)


myst_enable_extensions = ["colon_fence", "deflist"]
# links of the pages name headings as hosting platforms do: `page.md#a-heading`
myst_heading_anchors = 4
# a diagram is a file, rendered before; nothing is loaded from elsewhere
html_theme = "furo"
html_title = "whohas"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
# `--option` in a sentence keeps its two hyphens
smartquotes = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
# the figures come with their own colours for light and dark pages
html_theme_options = {
    "top_of_page_buttons": [],
    # fonts of the reader's machine
    "light_css_variables": {
        "font-stack": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
        "font-stack--monospace": "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace",
        "color-brand-primary": "#1f5f8b",
        "color-brand-content": "#1f5f8b",
    },
    "dark_css_variables": {"color-brand-primary": "#7fb8e0", "color-brand-content": "#7fb8e0"},
}
