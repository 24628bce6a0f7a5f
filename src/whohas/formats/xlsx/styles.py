"""Styles of cells: the part `xl/styles.xml`, and the indexes by which cells refer to it."""

from __future__ import annotations

from typing import Final

from whohas.formats.xlsx.namespaces import MAIN, XML

HEADER, INTEGER, TIME, QUOTE_PREFIXED, WRAPPED = range(1, 6)
"""Styles of every workbook, as indexes into `cellXfs`."""

TITLE, HEADING, TABLE_HEADER, NUMBER_HEADER, LABEL, COUNT, SHARE, WRAPPED_QUOTED, BOOLEAN = range(6, 15)
"""Further styles of a readable workbook."""


def styles_xml(readable: bool) -> str:
    """Return the part of the styles.

    Args:
        readable: whether it has the styles of a readable workbook.
    """
    fonts, fills, borders, formats, styles = (
        (first + further if readable else first)
        for first, further in ((_FONTS, _FONTS_2), (_FILLS, _FILLS_2), (_BORDERS, _BORDERS_2), (_FORMATS, _FORMATS_2),
                               (_STYLES, _STYLES_2))
    )  # fmt: skip
    return (
        f'{XML}<styleSheet xmlns="{MAIN}">'
        f"{_counted('numFmts', formats)}{_counted('fonts', fonts)}{_counted('fills', fills)}"
        f"{_counted('borders', borders)}"
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f"{_counted('cellXfs', styles)}"
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>\n'
    )


def _counted(name: str, items: tuple[str, ...]) -> str:
    return f'<{name} count="{len(items)}">{"".join(items)}</{name}>'


_NAME: Final = '<name val="Calibri"/><family val="2"/></font>'
_FONTS: Final = (f'<font><sz val="11"/>{_NAME}', f'<font><b/><sz val="11"/>{_NAME}')
_FONTS_2: Final = (
    f'<font><b/><sz val="18"/>{_NAME}',
    f'<font><b/><sz val="13"/>{_NAME}',
    f'<font><sz val="11"/><color rgb="FF57606A"/>{_NAME}',
)
_FILLS: Final = ('<fill><patternFill patternType="none"/></fill>', '<fill><patternFill patternType="gray125"/></fill>')
_FILLS_2: Final = (
    '<fill><patternFill patternType="solid"><fgColor rgb="FFE1E7ED"/><bgColor indexed="64"/></patternFill></fill>',
)
_BORDERS: Final = ("<border><left/><right/><top/><bottom/><diagonal/></border>",)
_BORDERS_2: Final = (
    '<border><left/><right/><top/><bottom style="thin"><color rgb="FF8B98A5"/></bottom><diagonal/></border>',
)
_FORMATS: Final = ('<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/>',)
_FORMATS_2: Final = (
    '<numFmt numFmtId="165" formatCode="0.0%"/>',
    # LibreOffice shows booleans that stand next to each other as 1 and 0 without this format; Excel ignores it for them
    '<numFmt numFmtId="166" formatCode="&quot;TRUE&quot;;&quot;TRUE&quot;;&quot;FALSE&quot;"/>',
)
_STYLES: Final = (
    '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>',
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>',
    '<xf numFmtId="1" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>',
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>',
    '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"/>',
    '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" applyAlignment="1">'
    '<alignment vertical="top" wrapText="1"/></xf>',
)
_FILLED: Final = 'fillId="2" borderId="1" xfId="0" applyFont="1" applyFill="1" applyBorder="1" applyAlignment="1"'
_STYLES_2: Final = (
    '<xf numFmtId="0" fontId="2" fillId="0" borderId="0" xfId="0" applyFont="1"/>',
    '<xf numFmtId="0" fontId="3" fillId="0" borderId="0" xfId="0" applyFont="1"/>',
    f'<xf numFmtId="0" fontId="1" {_FILLED}><alignment vertical="center" wrapText="1"/></xf>',
    f'<xf numFmtId="0" fontId="1" {_FILLED}><alignment horizontal="right" vertical="center" wrapText="1"/></xf>',
    '<xf numFmtId="0" fontId="4" fillId="0" borderId="0" xfId="0" applyFont="1" applyAlignment="1">'
    '<alignment vertical="top"/></xf>',
    '<xf numFmtId="3" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyAlignment="1">'
    '<alignment vertical="top"/></xf>',
    '<xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyAlignment="1">'
    '<alignment vertical="top"/></xf>',
    '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1" applyAlignment="1">'
    '<alignment vertical="top" wrapText="1"/></xf>',
    # at the left, as its header is; at the right it would touch a text in the next column
    '<xf numFmtId="166" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyAlignment="1">'
    '<alignment horizontal="left"/></xf>',
)
