"""Makes the fonts of printed reports from those of packages: `python tools/fonts.py --from DIR [DIR ...]`.

Run by hand, with fontTools, where a font is to be renewed or added; what it makes is kept in the repository. Each font
is brought to a form in which glyphs can be copied as they lie: 1,000 units to the em, no hints, every glyph by itself.
Where the fonts come from: src/whohas/formats/fonts/README.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fontTools import subset
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from fontTools.ttLib.scaleUpem import scale_upem

HERE = Path(__file__).parent.parent / "src" / "whohas" / "render" / "fonts"

SCRIPTS = (
    "Arabic", "Hebrew", "Armenian", "Georgian", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Tamil", "Telugu",
    "Kannada", "Malayalam", "Sinhala", "Thai", "Lao", "Khmer", "Myanmar", "Ethiopic",
)  # fmt: skip

FONTS = {
    "sans.ttf": "NotoSans-SemiCondensed.ttf",
    "sans-bold.ttf": "NotoSans-SemiCondensedSemiBold.ttf",
    **{f"{script.lower()}.ttf": f"NotoSans{script}-Regular.ttf" for script in SCRIPTS},
    "symbols.ttf": "NotoSansSymbols-Regular.ttf",
    "symbols2.ttf": "NotoSansSymbols2-Regular.ttf",
    "math.ttf": "NotoSansMath-Regular.ttf",
    "emoji.ttf": "NotoEmoji_400Regular.ttf",
    "cjk.ttf": "DroidSansFallbackFull.ttf",
    "hangul.ttf": "NanumGothic.ttf",
    "more.ttf": "DejaVuSans.ttf",
}
"""The file that is made, and the one that it is made of; a character is looked for in them in this order."""

GLEANED = ("cjk.ttf", "hangul.ttf", "more.ttf")
"""These bring only the characters that none before them has, each by itself: no script that has to be shaped."""

NAMES = [0, 1, 2, 4, 5, 6, 13, 14]
FAMILY = (1, 4, 6)
"""The names that are ours, for a changed font must not bear a reserved one (OFL 1.1, condition 3)."""
UNITS = 1000


def make(source: Path, target: Path, known: set[int]) -> set[int]:
    """Makes a font, and returns the characters that it has.

    Args:
        known: the characters that need not be in it.
    """
    gleaned = target.name in GLEANED
    options = _options(gleaned)
    font = subset.load_font(source, options)
    wanted = set(font.getBestCmap()) - (known if gleaned else set())
    _cut(font, wanted, options)
    if font["head"].unitsPerEm != UNITS:
        scale_upem(font, UNITS)
    _take_apart(font)
    _cut(font, wanted, options)  # once more, for what glyphs were made of is not needed any more
    font["head"].created = font["head"].modified = 0
    font.recalcTimestamp = False
    for record in font["name"].names:
        if record.nameID in FAMILY:
            record.string = f"whohas {target.stem}"
    font.save(target)
    return wanted


def _options(gleaned: bool) -> subset.Options:
    options = subset.Options()
    options.hinting = False
    options.layout_features = [] if gleaned else ["*"]
    options.name_IDs = NAMES
    options.name_languages = [0x409]
    options.notdef_outline = True
    options.glyph_names = False
    options.drop_tables += ["DSIG", "MATH", "STAT", "FFTM", "vhea", "vmtx", "VORG", "BASE", "kern"]
    return options


def _cut(font: TTFont, wanted: set[int], options: subset.Options) -> None:
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=wanted)
    cutter.subset(font)


def _take_apart(font: TTFont) -> None:
    """Glyphs that are made of others become glyphs by themselves."""
    glyphs = font.getGlyphSet()
    table = font["glyf"]
    for name in font.getGlyphOrder():
        if table[name].isComposite():
            recorded = DecomposingRecordingPen(glyphs)
            glyphs[name].draw(recorded)
            pen = TTGlyphPen(None)
            recorded.replay(pen)
            table[name] = pen.glyph()
            table[name].recalcBounds(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="folders", type=Path, nargs="+", required=True, help="where the packages lie")
    folders: list[Path] = parser.parse_args().folders
    known: set[int] = set()
    for target, name in FONTS.items():
        found = next(path for folder in folders for path in folder.rglob(name))
        known |= make(found, HERE / target, known)
        print(f"{target}: {(HERE / target).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
