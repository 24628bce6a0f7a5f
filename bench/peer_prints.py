"""The peers that print: A4 across, 14 columns in 7 points, the header on each page, shaded rows, page x of y.

Every text is whole: what is wider than its column goes on in the next line of its cell. All use the fonts of our own
PDF, since the names need letters that a PDF reader's own fonts have not.
"""

from __future__ import annotations

import csv
import html
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.data import COLUMNS, texts

FONTS: Final = tuple(
    Path(__file__).resolve().parents[1] / "src" / "whohas" / "render" / "fonts" / name
    for name in ("sans.ttf", "cjk.ttf", "hangul.ttf")
)
"""The first has most letters; the others are for those that it has not."""
WIDTHS: Final = (54, 44, 128, 58, 40, 42, 92, 58, 62, 58, 30, 28, 70, 30)
"""Of the columns, in points: together the page's width without its margins."""
_WIDTH, _HEIGHT, _MARGIN = 842, 595, 24
_SIZE, _LINE, _PAD = 7, 9.5, 1
_SHADE = "#f0f0f0"


def reportlab_longtable(source: Path, target: Path) -> None:
    """One LongTable, cells of plain text with their line ends set; paragraphs only where a text needs two fonts."""
    from reportlab.lib.colors import HexColor, white
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, TableStyle

    names = _register()
    style = ParagraphStyle("cell", fontName=names[0], fontSize=_SIZE, leading=_LINE, wordWrap="CJK")

    def cell(text: str, width: int) -> Any:
        runs = _runs(text)
        if len(runs) == 1 and runs[0][0] == names[0]:
            return "\n".join(_lines(text, width - 2 * _PAD))
        return Paragraph("".join(f'<font name="{font}">{html.escape(run)}</font>' for font, run in runs), style)

    data = [[cell(text, width) for text, width in zip(row, WIDTHS, strict=True)] for row in _table(source)]
    look = TableStyle(
        [
            ("FONT", (0, 0), (-1, -1), names[0], _SIZE, _LINE),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), _PAD),
            ("RIGHTPADDING", (0, 0), (-1, -1), _PAD),
            ("TOPPADDING", (0, 0), (-1, -1), _PAD),
            ("BOTTOMPADDING", (0, 0), (-1, -1), _PAD),
            ("ROWBACKGROUNDS", (0, 1), (-1, -1), (white, HexColor(_SHADE))),
        ]
    )
    document = SimpleDocTemplate(
        str(target), pagesize=(_WIDTH, _HEIGHT), leftMargin=_MARGIN - 6, rightMargin=_MARGIN - 6, topMargin=_MARGIN,
        bottomMargin=_MARGIN,
    )  # fmt: skip
    last: list[int] = []

    def footer(canvas: Any, _: Any) -> None:
        _page_number(canvas)
        last[:] = [canvas.getPageNumber()]

    def canvas(*arguments: Any, **options: Any) -> Canvas:
        made = Canvas(*arguments, **options)
        save = made.save

        def complete() -> None:
            _page_count(made, last[0])
            save()

        made.save = complete
        return made

    table = LongTable(data, colWidths=WIDTHS, repeatRows=1, style=look)
    document.build([table], onFirstPage=footer, onLaterPages=footer, canvasmaker=canvas)


def reportlab_canvas(source: Path, target: Path) -> None:
    """The same page drawn by hand: a rectangle and the lines of the cells, row after row."""
    from reportlab.lib.colors import HexColor, black
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(target), pagesize=(_WIDTH, _HEIGHT))
    shade, header, top = HexColor(_SHADE), _cells(COLUMNS), 0.0
    for n, row in enumerate(texts(source)):
        cells = _cells(row)
        height = _row_height(cells)
        if top - height < _MARGIN + _LINE:
            if n:
                _page_number(canvas)
                canvas.showPage()
            top = _HEIGHT - _MARGIN
            _draw(canvas, header, top)
            top -= _row_height(header)
        if n % 2:
            canvas.setFillColor(shade)
            canvas.rect(_MARGIN, top - height, sum(WIDTHS), height, stroke=0, fill=1)
            canvas.setFillColor(black)
        _draw(canvas, cells, top)
        top -= height
    pages = canvas.getPageNumber()
    _page_number(canvas)
    canvas.showPage()
    _page_count(canvas, pages)
    canvas.save()


def typst(source: Path, target: Path) -> None:
    """A Typst document that reads a CSV file of the rows; after a comma and an @ a line may end.

    Without tags, as the other peers: with them its file is ten times as large.
    """
    import typst

    columns = ", ".join(f"{width}pt" for width in WIDTHS)
    document = f"""
        #set page(width: {_WIDTH}pt, height: {_HEIGHT}pt, margin: {_MARGIN}pt, numbering: "1 of 1")
        #set text(font: ("whohas sans", "whohas cjk", "whohas hangul"), size: {_SIZE}pt)
        #let rows = csv("accounts.csv")
        #table(columns: ({columns}), inset: {_PAD}pt, stroke: none,
               fill: (_, y) => if y > 0 and calc.even(y) {{ rgb("{_SHADE}") }},
               table.header(..rows.first()), ..rows.slice(1).flatten())
    """
    with TemporaryDirectory(dir=target.parent) as name:
        with Path(name, "accounts.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for row in _table(source):
                writer.writerow([text.replace(",", ",\u200b").replace("@", "@\u200b") for text in row])
        main = Path(name, "accounts.typ")
        main.write_text(document, encoding="utf-8")
        typst.compile(str(main), output=str(target), font_paths=[str(FONTS[0].parent)], pdf_tags=False)


def weasyprint(source: Path, target: Path) -> None:
    """An HTML table."""
    from weasyprint import HTML
    from weasyprint.text.fonts import FontConfiguration

    faces = "".join(f"@font-face {{ font-family: f{n}; src: url({font.as_uri()}) }}" for n, font in enumerate(FONTS))
    style = f"""
        {faces}
        @page {{ size: {_WIDTH}pt {_HEIGHT}pt; margin: {_MARGIN}pt;
                 @bottom-center {{ content: "Page " counter(page) " of " counter(pages); font: {_SIZE}pt f0 }} }}
        table {{ font: {_SIZE}pt/{_LINE}pt f0, f1, f2; table-layout: fixed; width: 100%; border-collapse: collapse }}
        th, td {{ padding: {_PAD}pt; text-align: left; font-weight: normal; vertical-align: top;
                  overflow-wrap: anywhere }}
        tbody tr:nth-child(even) {{ background: {_SHADE} }}
    """
    table = _table(source)
    columns = "".join(f'<col style="width: {width}pt">' for width in WIDTHS)
    head = "".join(f"<th>{html.escape(text)}</th>" for text in next(table))
    body = "".join("<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>" for row in table)
    page = (
        f"<html><head><style>{style}</style></head><body><table><colgroup>{columns}</colgroup>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></body></html>"
    )
    HTML(string=page).write_pdf(target, font_config=FontConfiguration())


def _table(source: Path) -> Iterator[tuple[str, ...]]:
    yield COLUMNS
    yield from texts(source)


def _cells(row: Sequence[str]) -> list[tuple[str, ...]]:
    return [_lines(text, width - 2 * _PAD) for text, width in zip(row, WIDTHS, strict=True)]


def _row_height(cells: Sequence[tuple[str, ...]]) -> float:
    return max(map(len, cells)) * _LINE + 2 * _PAD


def _draw(canvas: Any, cells: Sequence[tuple[str, ...]], top: float) -> None:
    """The texts of a row."""
    page, font, x = canvas.beginText(), "", _MARGIN + _PAD
    for lines, width in zip(cells, WIDTHS, strict=True):
        for n, line in enumerate(lines):
            page.setTextOrigin(x, top - _PAD - _SIZE - n * _LINE)
            for name, run in _runs(line):
                if name != font:
                    page.setFont(font := name, _SIZE)
                page.textOut(run)
        x += width
    canvas.drawText(page)


@cache
def _register() -> tuple[str, ...]:
    """The fonts' names in ReportLab, which finds the letters of each."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    for path in FONTS:
        pdfmetrics.registerFont(TTFont(path.stem, str(path)))
    return tuple(path.stem for path in FONTS)


def _font(character: str) -> str:
    from reportlab.pdfbase import pdfmetrics

    names = _register()
    fonts: dict[str, Any] = {name: pdfmetrics.getFont(name) for name in names}
    return next((name for name, font in fonts.items() if ord(character) in font.face.charToGlyph), names[0])


@cache
def _glyph(character: str) -> tuple[str, float]:
    """The font that has a character, and how wide it is there."""
    from reportlab.pdfbase import pdfmetrics

    name = _font(character)
    return name, pdfmetrics.stringWidth(character, name, _SIZE)


def _runs(text: str) -> list[tuple[str, str]]:
    """A text cut where its font changes."""
    if text.isascii():
        return [(_register()[0], text)]
    runs: list[tuple[str, str]] = []
    for character in text:
        name, _ = _glyph(character)
        if runs and runs[-1][0] == name:
            runs[-1] = (name, runs[-1][1] + character)
        else:
            runs.append((name, character))
    return runs


@lru_cache(10_000)
def _lines(text: str, width: float) -> tuple[str, ...]:
    """A text cut into lines, after a blank where there is one, else within a word."""
    lines: list[str] = []
    begin, blank, used = 0, 0, 0.0
    for at, character in enumerate(text):
        used += _glyph(character)[1]
        if used > width and at > begin:
            end = blank if blank > begin else at
            lines.append(text[begin:end])
            begin, used = end, sum(_glyph(other)[1] for other in text[end : at + 1])
        if character == " ":
            blank = at + 1
    return (*lines, text[begin:])


def _page_number(canvas: Any) -> None:
    """The first half of page x of y; the second is a drawing that follows when the pages are counted."""
    canvas.setFont(_register()[0], _SIZE)
    canvas.drawRightString(_WIDTH / 2, _MARGIN / 2, f"Page {canvas.getPageNumber()} of ")
    canvas.doForm("pages")


def _page_count(canvas: Any, pages: int) -> None:
    canvas.beginForm("pages")
    canvas.setFont(_register()[0], _SIZE)
    canvas.drawString(_WIDTH / 2, _MARGIN / 2, str(pages))
    canvas.endForm()
