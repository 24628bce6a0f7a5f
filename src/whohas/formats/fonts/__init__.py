"""Font files of PDF reports. README.md lists their origin; `tools/fonts.py` generates them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent

REGULAR: Final = "sans.ttf"
BOLD: Final = "sans-bold.ttf"
FALLBACKS: Final = (
    "arabic.ttf", "hebrew.ttf", "armenian.ttf", "georgian.ttf", "devanagari.ttf", "bengali.ttf", "gurmukhi.ttf",
    "gujarati.ttf", "tamil.ttf", "telugu.ttf", "kannada.ttf", "malayalam.ttf", "sinhala.ttf", "thai.ttf", "lao.ttf",
    "khmer.ttf", "myanmar.ttf", "ethiopic.ttf", "cjk.ttf", "hangul.ttf", "symbols.ttf", "symbols2.ttf", "math.ttf",
    "emoji.ttf", "more.ttf",
)  # fmt: skip
"""Fonts that are searched, in this order, for a character that the regular or bold font does not have."""
UNITS: Final = 1000
"""Units per em of all of these fonts."""
