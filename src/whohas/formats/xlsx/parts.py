"""XML parts of a workbook other than its rows: styles, properties, relations, and begin and end of each sheet.

Their content is defined by ECMA-376 part 1, and their packaging by part 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whohas.formats.base import PageSize, ReportMetadata
from whohas.formats.xlsx.escape import escape_attribute
from whohas.formats.xlsx.sheet_names import quoted

HEADER, INTEGER, TIME, QUOTE_PREFIXED, WRAPPED = range(1, 6)
"""Styles of cells, as indexes into `cellXfs`."""

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"

_PAPER: Mapping[PageSize, int] = {"letter": 1, "a4": 9}
"""ECMA-376 part 1, 18.3.1.63, `paperSize`."""
_PAGE_CHARACTERS: Mapping[PageSize, int] = {"letter": 250, "a4": 265}
"""Maximum width of a printed page in landscape, in characters of Calibri 11 scaled to 55 percent."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of a workbook.

    Attributes:
        number: number of its file, from 1.
        name: name that is shown on its tab.
        cell_range: range of all its rows, with the header: `A1:N100`.
        widths: widths of its columns, in characters.
        filtered: whether the header has filter buttons.
        page: paper size for printing.
    """

    number: int
    name: str
    cell_range: str
    widths: Sequence[int]
    filtered: bool = False
    page: PageSize = "a4"

    @property
    def path(self) -> str:
        return f"xl/worksheets/sheet{self.number}.xml"

    @property
    def begin_xml(self) -> str:
        """XML before the first row, with the header row frozen."""
        widths = "".join(
            f'<col min="{place}" max="{place}" width="{width}" customWidth="1"/>'
            for place, width in enumerate(self.widths, 1)
        )
        selected = ' tabSelected="1"' if self.number == 1 else ""
        return (
            f'{_XML}<worksheet xmlns="{_MAIN}"><sheetPr><pageSetUpPr fitToPage="1"/></sheetPr>'
            f'<dimension ref="{self.cell_range}"/>'
            f'<sheetViews><sheetView{selected} workbookViewId="0">'
            '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
            '<selection pane="bottomLeft" activeCell="A2" sqref="A2"/></sheetView></sheetViews>'
            f'<sheetFormatPr defaultRowHeight="15"/><cols>{widths}</cols><sheetData>\n'
        )

    @property
    def end_xml(self) -> str:
        """XML after the last row."""
        filtering = f'<autoFilter ref="{self.cell_range}"/>' if self.filtered else ""
        # otherwise Excel marks each text of digits, such as an employee number, with a warning
        numbers = f'<ignoredErrors><ignoredError sqref="{self.cell_range}" numberStoredAsText="1"/></ignoredErrors>'
        return f"</sheetData>{filtering}{self._printing}{numbers}</worksheet>\n"

    @property
    def _printing(self) -> str:
        """XML of the print settings: landscape, scaled to as many pages side by side as keep the text legible."""
        wide = -(-sum(self.widths) // _PAGE_CHARACTERS[self.page])
        return (
            '<pageMargins left="0.4" right="0.4" top="0.5" bottom="0.6" header="0.3" footer="0.3"/>'
            f'<pageSetup paperSize="{_PAPER[self.page]}" fitToWidth="{wide}" fitToHeight="0" orientation="landscape"/>'
            "<headerFooter><oddFooter>&amp;L&amp;8&amp;A&amp;R&amp;8&amp;P / &amp;N</oddFooter></headerFooter>"
        )


def fixed_parts(about: ReportMetadata) -> dict[str, str]:
    """Return the files of a workbook that do not depend on its sheets, by name."""
    return {
        "_rels/.rels": _RELATIONS,
        "docProps/core.xml": _core(about),
        "docProps/app.xml": _APP,
        "xl/styles.xml": _STYLES,
    }


def sheet_list_parts(sheets: Sequence[Sheet]) -> dict[str, str]:
    """Return the files that list the sheets, by name.

    Args:
        sheets: in the order of their tabs.
    """
    return {
        "xl/workbook.xml": _workbook(sheets),
        "xl/_rels/workbook.xml.rels": _workbook_relations(sheets),
        "[Content_Types].xml": _types(sheets),
    }


_RELATIONS = (
    f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    f'<Relationship Id="rId2" Type="{_PACKAGE}/relationships/metadata/core-properties" Target="docProps/core.xml"/>'
    f'<Relationship Id="rId3" Type="{_OFFICE}/extended-properties" Target="docProps/app.xml"/>'
    "</Relationships>\n"
)

_APP = (
    f'{_XML}<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties">'
    "<Application>whohas</Application></Properties>\n"
)

_STYLES = (
    f'{_XML}<styleSheet xmlns="{_MAIN}">'
    '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/><family val="2"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/><family val="2"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="6"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="1" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"/>'
    '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" applyAlignment="1">'
    '<alignment vertical="top" wrapText="1"/></xf></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>\n'
)


def _core(about: ReportMetadata) -> str:
    time = f"{about.started_at:%Y-%m-%dT%H:%M:%SZ}"
    creator = escape_attribute(about.launcher)
    return (
        f'{_XML}<cp:coreProperties xmlns:cp="{_PACKAGE}/metadata/core-properties" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<dc:title>{escape_attribute(about.title)}</dc:title><dc:creator>{creator}</dc:creator>"
        f"<dc:description>{escape_attribute(about.description)}</dc:description>"
        f"<cp:lastModifiedBy>{creator}</cp:lastModifiedBy>"
        f'<dcterms:created xsi:type="dcterms:W3CDTF">{time}</dcterms:created>'
        f'<dcterms:modified xsi:type="dcterms:W3CDTF">{time}</dcterms:modified></cp:coreProperties>\n'
    )


def _workbook(sheets: Sequence[Sheet]) -> str:
    listed = "".join(
        f'<sheet name="{escape_attribute(sheet.name)}" sheetId="{sheet.number}" r:id="rId{sheet.number}"/>'
        for sheet in sheets
    )
    # Excel needs only `autoFilter`, but some other spreadsheets show the filter only with these names
    filters = "".join(
        f'<definedName name="_xlnm._FilterDatabase" localSheetId="{place}" hidden="1">'
        f"{escape_attribute(quoted(sheet.name))}!{_absolute(sheet.cell_range)}</definedName>"
        for place, sheet in enumerate(sheets)
        if sheet.filtered
    )
    # repeat the header row on each printed page
    titles = "".join(
        f'<definedName name="_xlnm.Print_Titles" localSheetId="{place}">'
        f"{escape_attribute(quoted(sheet.name))}!$1:$1</definedName>"
        for place, sheet in enumerate(sheets)
    )
    return (
        f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><workbookPr/><bookViews><workbookView/></bookViews>'
        f"<sheets>{listed}</sheets><definedNames>{filters}{titles}</definedNames></workbook>\n"
    )


def _absolute(cells: str) -> str:
    """Return a range with absolute references: `A1:N100` gives `$A$1:$N$100`."""
    ends = (end.rstrip("0123456789") for end in cells.split(":"))
    numbers = (end.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for end in cells.split(":"))
    return ":".join(f"${letters}${number}" for letters, number in zip(ends, numbers, strict=True))


def _workbook_relations(sheets: Sequence[Sheet]) -> str:
    listed = "".join(
        f'<Relationship Id="rId{sheet.number}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{sheet.number}.xml"/>'
        for sheet in sheets
    )
    return (
        f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{listed}'
        f'<Relationship Id="rId{len(sheets) + 1}" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>\n'
    )


def _types(sheets: Sequence[Sheet]) -> str:
    types = {
        "xl/workbook.xml": f"{_SHEET_TYPE}.sheet.main+xml",
        "xl/styles.xml": f"{_SHEET_TYPE}.styles+xml",
        "docProps/core.xml": "application/vnd.openxmlformats-package.core-properties+xml",
        "docProps/app.xml": "application/vnd.openxmlformats-officedocument.extended-properties+xml",
    } | {sheet.path: f"{_SHEET_TYPE}.worksheet+xml" for sheet in sheets}
    listed = "".join(f'<Override PartName="/{path}" ContentType="{type}"/>' for path, type in types.items())
    return (
        f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{listed}</Types>\n'
    )
