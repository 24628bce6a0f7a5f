"""XML parts of a workbook other than its rows: properties, relations, and begin and end of each sheet.

Their content is defined by ECMA-376 part 1, and their packaging by part 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whohas.formats.base import PageSize, ReportMetadata
from whohas.formats.xlsx.escape import escape_attribute
from whohas.formats.xlsx.namespaces import MAIN, OFFICE, PACKAGE, SHEET_TYPE, XML
from whohas.formats.xlsx.related_parts import RelatedPart, content_types
from whohas.formats.xlsx.sheet_names import quoted
from whohas.formats.xlsx.styles import styles_xml

APPLICATION = "whohas"
"""The application that a workbook names as its writer, by which loads recognize it."""

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
        filtered: whether the header has the filter buttons of the sheet; a table has those of the table instead.
        page: paper size for printing.
        headed: whether the first row is a header, which is frozen and repeated on each printed page.
        one_page: whether it is printed on one page in portrait.
        hidden: indexes of the hidden columns.
        merged: ranges of merged cells.
        parts: its drawing and its table, if it has them.
    """

    number: int
    name: str
    cell_range: str
    widths: Sequence[int]
    filtered: bool = False
    page: PageSize = "a4"
    headed: bool = True
    one_page: bool = False
    hidden: frozenset[int] = frozenset()
    merged: tuple[str, ...] = ()
    parts: tuple[RelatedPart, ...] = ()

    @property
    def path(self) -> str:
        return f"xl/worksheets/sheet{self.number}.xml"

    @property
    def begin_xml(self) -> str:
        """XML before the first row."""
        widths = "".join(
            f'<col min="{place}" max="{place}" width="{width}"{self._hidden_attribute(place)} customWidth="1"/>'
            for place, width in enumerate(self.widths, 1)
        )
        selected = ' tabSelected="1"' if self.number == 1 else ""
        view = (
            f'<sheetView{selected} workbookViewId="0">'
            '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
            '<selection pane="bottomLeft" activeCell="A2" sqref="A2"/></sheetView>'
            if self.headed
            else f'<sheetView showGridLines="0"{selected} workbookViewId="0"/>'
        )
        relations = f' xmlns:r="{OFFICE}"' if self.parts else ""
        return (
            f'{XML}<worksheet xmlns="{MAIN}"{relations}><sheetPr><pageSetUpPr fitToPage="1"/></sheetPr>'
            f'<dimension ref="{self.cell_range}"/>'
            f"<sheetViews>{view}</sheetViews>"
            f'<sheetFormatPr defaultRowHeight="15"/><cols>{widths}</cols><sheetData>\n'
        )

    def _hidden_attribute(self, number: int) -> str:
        return ' hidden="1"' if number - 1 in self.hidden else ""

    @property
    def end_xml(self) -> str:
        """XML after the last row."""
        filtering = f'<autoFilter ref="{self.cell_range}"/>' if self.filtered else ""
        # otherwise Excel marks each text of digits, such as an employee number, with a warning
        numbers = f'<ignoredErrors><ignoredError sqref="{self.cell_range}" numberStoredAsText="1"/></ignoredErrors>'
        merged = "".join(f'<mergeCell ref="{cells}"/>' for cells in self.merged)
        merging = f'<mergeCells count="{len(self.merged)}">{merged}</mergeCells>' if merged else ""
        return f"</sheetData>{filtering}{merging}{self._printing}{numbers}{self._references}</worksheet>\n"

    @property
    def _references(self) -> str:
        """XML of the references to the drawing and the table; each has the relation id of its place in `parts`."""
        ids = [(part.relation, f'r:id="rId{number}"') for number, part in enumerate(self.parts, 1)]
        drawings = "".join(f"<drawing {id}/>" for relation, id in ids if relation == "drawing")
        tables = "".join(f'<tableParts count="1"><tablePart {id}/></tableParts>' for kind, id in ids if kind == "table")
        return drawings + tables

    @property
    def _printing(self) -> str:
        """XML of the print settings.

        One page in portrait, or landscape, scaled to as many pages side by side as keep the text legible.
        """
        printed = sum(width for place, width in enumerate(self.widths) if place not in self.hidden)
        wide = max(1, -(-printed // _PAGE_CHARACTERS[self.page]))
        pages = (
            'fitToWidth="1" fitToHeight="1" orientation="portrait"'
            if self.one_page
            else f'fitToWidth="{wide}" fitToHeight="0" orientation="landscape"'
        )
        return (
            '<pageMargins left="0.4" right="0.4" top="0.5" bottom="0.6" header="0.3" footer="0.3"/>'
            f'<pageSetup paperSize="{_PAPER[self.page]}" {pages}/>'
            "<headerFooter><oddFooter>&amp;L&amp;8&amp;A&amp;R&amp;8&amp;P / &amp;N</oddFooter></headerFooter>"
        )


def fixed_parts(about: ReportMetadata, readable: bool) -> dict[str, str]:
    """Return the files of a workbook that do not depend on its sheets, by name.

    Args:
        about: the run.
        readable: whether the workbook has the styles of a readable one.
    """
    return {
        "_rels/.rels": _RELATIONS,
        "docProps/core.xml": _core(about),
        "docProps/app.xml": _APP,
        "xl/styles.xml": styles_xml(readable),
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
    f'{XML}<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    f'<Relationship Id="rId2" Type="{PACKAGE}/relationships/metadata/core-properties" Target="docProps/core.xml"/>'
    f'<Relationship Id="rId3" Type="{OFFICE}/extended-properties" Target="docProps/app.xml"/>'
    "</Relationships>\n"
)

_APP = (
    f'{XML}<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties">'
    f"<Application>{APPLICATION}</Application></Properties>\n"
)


def _core(about: ReportMetadata) -> str:
    time = f"{about.started_at:%Y-%m-%dT%H:%M:%SZ}"
    creator = escape_attribute(about.launcher)
    return (
        f'{XML}<cp:coreProperties xmlns:cp="{PACKAGE}/metadata/core-properties" '
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
        if sheet.headed
    )
    return (
        f'{XML}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><workbookPr/><bookViews><workbookView/></bookViews>'
        f"<sheets>{listed}</sheets><definedNames>{filters}{titles}</definedNames></workbook>\n"
    )


def _absolute(cells: str) -> str:
    """Return a range with absolute references: `A1:N100` gives `$A$1:$N$100`."""
    ends = (end.rstrip("0123456789") for end in cells.split(":"))
    numbers = (end.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for end in cells.split(":"))
    return ":".join(f"${letters}${number}" for letters, number in zip(ends, numbers, strict=True))


def _workbook_relations(sheets: Sequence[Sheet]) -> str:
    listed = "".join(
        f'<Relationship Id="rId{sheet.number}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{sheet.number}.xml"/>'
        for sheet in sheets
    )
    return (
        f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{listed}'
        f'<Relationship Id="rId{len(sheets) + 1}" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>\n'
    )


def _types(sheets: Sequence[Sheet]) -> str:
    types = {
        "xl/workbook.xml": f"{SHEET_TYPE}.sheet.main+xml",
        "xl/styles.xml": f"{SHEET_TYPE}.styles+xml",
        "docProps/core.xml": "application/vnd.openxmlformats-package.core-properties+xml",
        "docProps/app.xml": "application/vnd.openxmlformats-officedocument.extended-properties+xml",
    } | {sheet.path: f"{SHEET_TYPE}.worksheet+xml" for sheet in sheets}
    for sheet in sheets:
        types |= content_types(sheet.parts)
    listed = "".join(f'<Override PartName="/{path}" ContentType="{type}"/>' for path, type in types.items())
    return (
        f'{XML}<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{listed}</Types>\n'
    )
