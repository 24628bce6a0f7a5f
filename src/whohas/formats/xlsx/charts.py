"""Native bar charts of the summary sheet, and the drawing that places them (DrawingML; ECMA-376 part 1, 20.5 and 21.2).

A chart refers to the cells of its breakdown and has a copy of their values, which viewers that do not calculate show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from whohas.formats.xlsx.escape import escape, escape_attribute
from whohas.formats.xlsx.namespaces import OFFICE, XML
from whohas.formats.xlsx.related_parts import RelatedPart

_CHART: Final = "http://schemas.openxmlformats.org/drawingml/2006/chart"
_DRAWING: Final = "http://schemas.openxmlformats.org/drawingml/2006/main"
_ON_SHEET: Final = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
_OFFICE_TYPE: Final = "application/vnd.openxmlformats-officedocument"

EMU_PER_PIXEL: Final = 9_525
"""English metric units of a pixel at 96 dots per inch, the unit of sizes in a drawing."""

_BAR_PIXELS: Final = 26
_LINE_PIXELS, _LINE_LENGTH, _MOST_LINES = 14, 26, 4
"""Height and length, in characters, of a line of a category's name, and the number of lines for which there is room."""
_TITLE_PIXELS, _AXIS_PIXELS, _LEGEND_PIXELS = 36, 34, 30
_NAMES, _BARS = 0.29, 0.63
"""Shares of the width of a chart for the names of the categories and for the bars."""

_PATTERNS: Final = (("", "1F5FA8"), ("wdUpDiag", "B35C00"), ("ltHorz", "57606A"), ("pct25", "7A3E9D"))
"""Pattern and colour of each series in turn, so that series differ without colour too; the first is solid."""
_TEXT: Final = "1B1F24"
_LINE: Final = "D0D7DE"


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """A series of a chart.

    Attributes:
        name: its name; empty for the only one.
        name_cell: the cell of its name, such as `'Summary'!$B$12`.
        cells: the range of its numbers, such as `'Summary'!$B$13:$B$22`.
        numbers: the numbers.
    """

    name: str
    name_cell: str
    cells: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BarChart:
    """A chart with a horizontal bar for each category, stacked if there are several series.

    Attributes:
        title: its title.
        description: the text for readers who do not see it.
        cells: the range of the categories' names.
        categories: these names.
        series: the series.
        column: the index of the column of the sheet at which it begins.
        row: the index of the row at which it begins.
        width: its width, in pixels.
        legend: whether its series have names, which a legend shows.
    """

    title: str
    description: str
    cells: str
    categories: tuple[str, ...]
    series: tuple[ChartSeries, ...]
    column: int
    row: int
    width: int
    legend: bool = False

    @property
    def height(self) -> int:
        """Its height, in pixels."""
        legend = _LEGEND_PIXELS if self.legend else 0
        return _TITLE_PIXELS + self.bar_pixels * len(self.categories) + _AXIS_PIXELS + legend

    @property
    def bar_pixels(self) -> int:
        """The height of a category, in pixels: enough for the lines of the longest name, up to `_MOST_LINES`."""
        longest = max(map(len, self.categories), default=0)
        return max(_BAR_PIXELS, _LINE_PIXELS * min(_MOST_LINES, -(-longest // _LINE_LENGTH)))


def drawing_part(charts: Sequence[BarChart]) -> RelatedPart:
    """Return the drawing that places charts on a sheet, with the charts."""
    anchors = "".join(_anchor(number, chart) for number, chart in enumerate(charts, 1))
    text = f'{XML}<xdr:wsDr xmlns:xdr="{_ON_SHEET}" xmlns:a="{_DRAWING}">{anchors}</xdr:wsDr>\n'
    return RelatedPart(
        "xl/drawings/drawing1.xml",
        f"{_OFFICE_TYPE}.drawing+xml",
        "drawing",
        text,
        tuple(
            RelatedPart(
                f"xl/charts/chart{number}.xml", f"{_OFFICE_TYPE}.drawingml.chart+xml", "chart", chart_xml(chart)
            )
            for number, chart in enumerate(charts, 1)
        ),
    )


def _anchor(number: int, chart: BarChart) -> str:
    size = f'cx="{chart.width * EMU_PER_PIXEL}" cy="{chart.height * EMU_PER_PIXEL}"'
    return (
        f"<xdr:oneCellAnchor><xdr:from><xdr:col>{chart.column}</xdr:col><xdr:colOff>0</xdr:colOff>"
        f"<xdr:row>{chart.row}</xdr:row><xdr:rowOff>0</xdr:rowOff></xdr:from><xdr:ext {size}/>"
        '<xdr:graphicFrame macro=""><xdr:nvGraphicFramePr>'
        f'<xdr:cNvPr id="{number + 1}" name="Chart {number}" descr="{escape_attribute(chart.description)}"/>'
        "<xdr:cNvGraphicFramePr/></xdr:nvGraphicFramePr>"
        '<xdr:xfrm><a:off x="0" y="0"/><a:ext cx="0" cy="0"/></xdr:xfrm>'
        f'<a:graphic><a:graphicData uri="{_CHART}">'
        f'<c:chart xmlns:c="{_CHART}" xmlns:r="{OFFICE}" r:id="rId{number}"/></a:graphicData></a:graphic>'
        "</xdr:graphicFrame><xdr:clientData/></xdr:oneCellAnchor>"
    )


def chart_xml(chart: BarChart) -> str:
    """Return the part of a chart."""
    several = len(chart.series) > 1
    series = "".join(_series_xml(place, one, chart) for place, one in enumerate(chart.series))
    # categories run downwards, so that the value axis, which crosses at the last one, is at the bottom
    return (
        f'{XML}<c:chartSpace xmlns:c="{_CHART}" xmlns:a="{_DRAWING}" xmlns:r="{OFFICE}">'
        '<c:date1904 val="0"/><c:roundedCorners val="0"/><c:chart>'
        f"<c:title><c:tx><c:rich><a:bodyPr/><a:p><a:pPr><a:defRPr {_size(1200, bold=True)}</a:defRPr></a:pPr>"
        f'<a:r><a:rPr lang="en-GB" {_size(1200, bold=True)}</a:rPr><a:t>{escape_attribute(chart.title)}</a:t></a:r>'
        '</a:p></c:rich></c:tx><c:overlay val="0"/></c:title><c:autoTitleDeleted val="0"/><c:plotArea>'
        f"{_plot_layout(chart)}"
        f'<c:barChart><c:barDir val="bar"/><c:grouping val="{"stacked" if several else "clustered"}"/>'
        f'<c:varyColors val="0"/>{series}<c:gapWidth val="45"/>{_overlap(several)}'
        '<c:axId val="1001"/><c:axId val="1002"/></c:barChart>'
        '<c:catAx><c:axId val="1001"/><c:scaling><c:orientation val="maxMin"/></c:scaling><c:delete val="0"/>'
        '<c:axPos val="l"/><c:numFmt formatCode="General" sourceLinked="0"/><c:majorTickMark val="none"/>'
        f'<c:minorTickMark val="none"/><c:tickLblPos val="low"/>{_outline()}{_text_properties()}'
        '<c:crossAx val="1002"/><c:crosses val="autoZero"/><c:auto val="0"/><c:lblAlgn val="ctr"/>'
        '<c:lblOffset val="100"/><c:noMultiLvlLbl val="1"/></c:catAx>'
        '<c:valAx><c:axId val="1002"/><c:scaling><c:orientation val="minMax"/><c:min val="0"/></c:scaling>'
        f'<c:delete val="0"/><c:axPos val="b"/><c:majorGridlines>{_outline()}</c:majorGridlines>'
        '<c:numFmt formatCode="#,##0" sourceLinked="0"/><c:majorTickMark val="none"/><c:minorTickMark val="none"/>'
        f'<c:tickLblPos val="nextTo"/>{_outline()}{_text_properties()}'
        '<c:crossAx val="1001"/><c:crosses val="max"/><c:crossBetween val="between"/></c:valAx></c:plotArea>'
        f"{_legend() if chart.legend else ''}"
        '<c:plotVisOnly val="0"/><c:dispBlanksAs val="gap"/></c:chart>'
        f'<c:spPr><a:solidFill><a:srgbClr val="FFFFFF"/></a:solidFill>{_line()}</c:spPr></c:chartSpace>\n'
    )


def _plot_layout(chart: BarChart) -> str:
    """Return the place of the bars in the chart: the same for all, whatever the length of the categories' names."""
    top, height = _TITLE_PIXELS / chart.height, chart.bar_pixels * len(chart.categories) / chart.height
    return (
        '<c:layout><c:manualLayout><c:layoutTarget val="inner"/><c:xMode val="edge"/><c:yMode val="edge"/>'
        f'<c:x val="{_NAMES}"/><c:y val="{top:.4f}"/><c:w val="{_BARS}"/><c:h val="{height:.4f}"/>'
        "</c:manualLayout></c:layout>"
    )


def _series_xml(place: int, series: ChartSeries, chart: BarChart) -> str:
    name, categories = _texts(series.name_cell, [series.name]), _texts(chart.cells, chart.categories)
    labels = "" if len(chart.series) > 1 else _value_labels()
    return (
        f'<c:ser><c:idx val="{place}"/><c:order val="{place}"/><c:tx>{name}</c:tx>{_fill(place)}'
        f'<c:invertIfNegative val="0"/>{labels}<c:cat>{categories}</c:cat>'
        f"<c:val>{_numbers(series.cells, series.numbers)}</c:val>"
        "</c:ser>"
    )


def _texts(cells: str, texts: Sequence[str]) -> str:
    points = "".join(f'<c:pt idx="{place}"><c:v>{escape(text)}</c:v></c:pt>' for place, text in enumerate(texts))
    cached = f'<c:strCache><c:ptCount val="{len(texts)}"/>{points}</c:strCache>'
    return f"<c:strRef><c:f>{escape_attribute(cells)}</c:f>{cached}</c:strRef>"


def _numbers(cells: str, numbers: Sequence[int]) -> str:
    points = "".join(f'<c:pt idx="{place}"><c:v>{number}</c:v></c:pt>' for place, number in enumerate(numbers))
    cached = f'<c:formatCode>#,##0</c:formatCode><c:ptCount val="{len(numbers)}"/>{points}'
    return f"<c:numRef><c:f>{escape_attribute(cells)}</c:f><c:numCache>{cached}</c:numCache></c:numRef>"


def _fill(place: int) -> str:
    pattern, colour = _PATTERNS[place % len(_PATTERNS)]
    inner = f'<a:srgbClr val="{colour}"/>'
    white = '<a:bgClr><a:srgbClr val="FFFFFF"/></a:bgClr>'
    solid = f"<a:solidFill>{inner}</a:solidFill>"
    fill = f'<a:pattFill prst="{pattern}"><a:fgClr>{inner}</a:fgClr>{white}</a:pattFill>' if pattern else solid
    return f'<c:spPr>{fill}<a:ln w="9525"><a:solidFill>{inner}</a:solidFill></a:ln></c:spPr>'


def _value_labels() -> str:
    return (
        '<c:dLbls><c:numFmt formatCode="#,##0" sourceLinked="0"/><c:spPr><a:noFill/><a:ln><a:noFill/></a:ln></c:spPr>'
        f'{_text_properties()}<c:dLblPos val="outEnd"/><c:showLegendKey val="0"/><c:showVal val="1"/>'
        '<c:showCatName val="0"/><c:showSerName val="0"/><c:showPercent val="0"/><c:showBubbleSize val="0"/></c:dLbls>'
    )


def _overlap(stacked: bool) -> str:
    return '<c:overlap val="100"/>' if stacked else ""


def _legend() -> str:
    return f'<c:legend><c:legendPos val="b"/><c:overlay val="0"/>{_text_properties()}</c:legend>'


def _text_properties() -> str:
    return (
        f"<c:txPr><a:bodyPr/><a:p><a:pPr><a:defRPr {_size(900)}</a:defRPr></a:pPr>"
        '<a:endParaRPr lang="en-GB"/></a:p></c:txPr>'
    )


def _size(hundredths: int, bold: bool = False) -> str:
    """Return the attributes of a run of text and its colour; the size is in hundredths of a point."""
    return f'sz="{hundredths}" b="{int(bold)}"><a:solidFill><a:srgbClr val="{_TEXT}"/></a:solidFill>'


def _outline() -> str:
    return f"<c:spPr>{_line()}</c:spPr>"


def _line() -> str:
    return f'<a:ln w="9525"><a:solidFill><a:srgbClr val="{_LINE}"/></a:solidFill></a:ln>'
