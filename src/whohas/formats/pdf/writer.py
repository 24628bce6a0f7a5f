"""Entry point of the PDF writer: self-contained PDF/A-2 files."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Queue
from threading import Thread

import numpy as np
import pyarrow as pa

from whohas.engine.statement import ResultColumn
from whohas.formats import fonts
from whohas.formats.base import Extract, ReportMetadata, WriteOptions
from whohas.formats.display import compute, display_texts
from whohas.formats.metadata import for_readers, metadata_lines, readable_metadata_lines
from whohas.formats.pdf.document import Document, colour_profile, grey_profile, text_string
from whohas.formats.pdf.groups import HeadingTypesetter, heading_places
from whohas.formats.pdf.layout import (
    LEADING,
    MARGIN,
    ColumnWidths,
    PageLayout,
    choose_layout,
    choose_readable_layout,
)
from whohas.formats.pdf.metadata import info_dictionary, xmp_packet
from whohas.formats.pdf.operators import join_tokens, number
from whohas.formats.pdf.pages import BookmarkTarget, Frame, Page, PageBatch, Pages, typeset_batches
from whohas.formats.pdf.shaping import BREAKS
from whohas.formats.pdf.structure import MAX_TAGGED_CELLS, MarkedContent, TitleMark, write_structure
from whohas.formats.pdf.summary import ACCENT_SPACE, summary_lines
from whohas.formats.pdf.title import (
    FOOTER_SIZE,
    Header,
    TitleLine,
    draw_page_number,
    footer,
    header_row,
    panel_titles,
    space,
    title_block,
)
from whohas.formats.pdf.typeface import Typeface
from whohas.formats.pdf.typesetter import Typesetter
from whohas.formats.readable import ColumnChoice, choose_columns

_CELLS, _BYTES = 3 << 16, 1 << 25
"""Approximate maximum number of cells, and of bytes, of a batch."""
_SAMPLE, _PLACES = 20_000, 5
"""Number of rows from which column widths are estimated, and number of places of the report where they are read."""
_LONGEST_PART = 25.0
"""Maximum width, in ems, that a column is given so that a part of its header is not broken."""
_LONGEST_WORD = 9.0
"""Maximum width, in ems, that a column of a readable report is given so that a word of its cells is not broken."""
_WORD_ENDS = f"[{re.escape(''.join(sorted(BREAKS)))}]"
_WORD_END_WIDTH = 0.92
"""Width of the widest character after which a line may be broken, in ems."""
_NODE = 256
"""Number of pages of a node of the page tree."""
_AT_ONCE = 256
"""Number of pages that are passed to the compressing thread at once."""
_BOOKMARKS = 100
"""Approximate maximum number of bookmarks of a report without groups."""
_SUMMARY_GAP = 6.0
"""Gap below the summary, in points."""
_LEAST_ROOM = 90.0
"""Height of the first page below which the rows of a readable report begin on the next one, in points."""
_TOTAL = 28.0
"""Width reserved for the total number of pages in the footer, in points."""


def write(extract: Extract, path: Path, about: ReportMetadata, options: WriteOptions) -> Sequence[str]:
    """Write the rows of an extract to a PDF file."""
    readable = options.detail == "readable"
    about = for_readers(about, extract.rows.name) if readable else about
    describe = readable_metadata_lines if readable else metadata_lines
    choice = choose_columns(extract, options)
    above = heading_places(choice, extract.rows.group) if readable else ()
    shown = tuple(place for place in choice.shown if place not in above)
    places = shown if readable else None
    columns = _headed(choice, shown)
    regular = Typesetter(Typeface("R", fonts.REGULAR), LEADING)
    bold = Typesetter(Typeface("B", fonts.BOLD), LEADING)
    choose = choose_readable_layout if readable else choose_layout
    measures = _measures(extract, columns, places, regular, bold, options.zone, readable)
    layout = choose(columns, measures, options.page)
    headers = _headers(columns, layout, bold, readable)
    cells = extract.count * sum(len(panel.columns) for panel in layout.panels)
    tagged = cells <= MAX_TAGGED_CELLS
    facts = describe(about, extract.count, options.zone)
    if len(layout.panels) > 1:
        facts.append(("Columns", f"{len(columns)}, on {len(layout.panels)} pages side by side"))
    lines = title_block(about, extract.count, (*facts, *choice.left_out), layout, bold.shaper, regular.shaper)
    if readable and extract.summary is not None:
        lines += [*summary_lines(extract.summary, layout, bold.shaper, regular.shaper), space(_SUMMARY_GAP)]
    titles = list(_titles(lines, layout, tagged))
    # Pages side by side have their rows at the same height: below the title block, they would be half empty.
    if readable and extract.count and (len(layout.panels) > 1 or titles[-1].bottom - layout.bottom < _LEAST_ROOM):
        titles.append(_Title([], layout, tagged))
    with path.open("wb", buffering=1 << 20) as file:
        book = _PdfWriter(
            Document(file), layout, headers, [title.marks for title in titles], tagged, about, regular, readable
        )
        with _aside(book.add) as out:
            for title in titles[:-1]:
                out(Page(None, False, 0.0, 0, b"", b"", title.drawn))
            last = titles[-1]
            names = [column.name for column in extract.rows.columns]
            group = names.index(extract.rows.group) if extract.rows.group in names else None
            frame = Frame(
                columns,
                None if readable else group,
                layout,
                headers,
                options.zone,
                len(last.marks) if tagged else None,
                bool(above),
                readable,
            )
            headings = None
            if above and group is not None:
                read = range(len(shown), len(shown) + len(above))
                headings = HeadingTypesetter(
                    _headed(choice, above),
                    read,
                    read.stop,
                    options.zone,
                    frame.heading_room,
                    bold,
                    regular,
                    choice.nothing_in(shown),
                )
                places = (*shown, *above, group)
            pages = Pages(frame, regular, last.bottom, last.drawn, len(titles) - 1, out)
            done = 0
            batches = extract.batches(extract.batch_size(_CELLS, _BYTES), dictionaries=True, places=places)
            for batch in _ahead(typeset_batches(batches, frame, regular, headings)):
                pages.add(batch)
                done += batch.count
                extract.on_rows(done)
            pages.finish()
        heading_marks = frame.heading_marks if above else ()
        book.close(pages.groups or _ranges(pages, layout.top, done), (regular.face, bold.face), heading_marks)
    return ()


def _headers(columns: Sequence[ResultColumn], layout: PageLayout, bold: Typesetter, readable: bool) -> Sequence[Header]:
    """Return the header row of each panel."""
    if not readable:
        return [header_row(columns, panel, layout, bold.shaper) for panel in layout.panels]
    headers = [
        header_row(columns, panel, layout, bold.shaper, title)
        for panel, title in zip(layout.panels, panel_titles(columns, layout.panels), strict=True)
    ]
    # Rows begin at the same height in all panels, so that a lower bar would leave a gap.
    lines = max(len(cell) for header in headers for cell in header.cells)
    return [replace(header, lines=lines) for header in headers]


def _headed(choice: ColumnChoice, places: Sequence[int]) -> list[ResultColumn]:
    """Return columns that are named by their headings."""
    return [
        replace(choice.columns[place], name=heading)
        for place, heading in zip(places, choice.headings_of(places), strict=True)
    ]


def _measures(
    extract: Extract,
    columns: Sequence[ResultColumn],
    places: Sequence[int] | None,
    regular: Typesetter,
    bold: Typesetter,
    zone: str,
    readable: bool,
) -> list[ColumnWidths]:
    """Return the measured widths of the columns.

    Args:
        places: the columns in the extract; None for all.
        readable: whether the words of cells are measured too, and cells are texts of a readable file.
    """
    samples = list(extract.batches(_SAMPLE // _PLACES, _SAMPLE, places=places))
    return [_measure(column, n, samples, regular, bold, zone, readable) for n, column in enumerate(columns)]


def _measure(
    column: ResultColumn,
    place: int,
    samples: Sequence[pa.RecordBatch],
    regular: Typesetter,
    bold: Typesetter,
    zone: str,
    readable: bool,
) -> ColumnWidths:
    texts = [display_texts(batch.column(place), column.type, zone, readable) for batch in samples]
    cells = [regular.widths(some) for some in texts]
    return ColumnWidths(
        header=bold.shaper.width(column.name) / 1000,
        longest_part=min(_LONGEST_PART, bold.shaper.widest_part(column.name) / 1000),
        # add a little, because widths are rounded
        cells=np.concatenate([np.empty(0), *cells]) / 1000 + 0.01,
        longest_word=_longest_word(texts[0], regular) if readable and texts else 0.0,
    )


def _longest_word(texts: pa.StringArray, regular: Typesetter) -> float:
    """Return the width of the longest word, at most `_LONGEST_WORD`, in ems."""
    words = compute.list_flatten(compute.split_pattern_regex(texts, _WORD_ENDS)).unique()
    return min(_LONGEST_WORD, float(regular.widths(words).max(initial=0)) / 1000 + _WORD_END_WIDTH)


class _Title:
    """The part of the title block that is on one page."""

    def __init__(self, lines: Sequence[TitleLine], layout: PageLayout, tagged: bool) -> None:
        self.marks: list[TitleMark] = []
        self.bottom = layout.top
        drawn: list[bytes] = []
        for line in lines:
            one = line.draw(self.bottom)
            if one and tagged:
                mark = b"/%b<</MCID %d>>BDC " % (line.role.encode() or b"P", len(self.marks))
                one = join_tokens(mark, one, b"EMC\n")
                left, low, right, high = line.box
                box = (left, self.bottom + low, right, self.bottom + high)
                self.marks.append(TitleMark(line.role, line.alt, box))
            drawn.append(one)
            self.bottom -= line.height
        self.drawn = b"".join(drawn)


def _titles(lines: Sequence[TitleLine], layout: PageLayout, tagged: bool) -> Generator[_Title]:
    """Yield the title block page by page; long arguments need more than one page."""
    some: list[TitleLine] = []
    room = layout.top - layout.bottom
    for line in lines:
        if some and sum(one.height for one in some) + line.height > room:
            yield _Title(some, layout, tagged)
            some = []
        some.append(line)
    yield _Title(some, layout, tagged)


def _ranges(pages: Pages, top: float, rows: int) -> list[BookmarkTarget]:
    """Return bookmarks to ranges of rows, such as `Rows 1 to 500`, for reports without groups."""
    if not rows:
        return []
    step = -(-len(pages.starts) // _BOOKMARKS)
    starts = list(pages.starts[::step])
    ends = [*starts, rows][1:]
    return [
        BookmarkTarget(f"Rows {start + 1:,} to {end:,}", page, top)
        for start, end, page in zip(starts, ends, pages.numbers[::step], strict=True)
    ]


def _ahead(batches: Iterator[PageBatch]) -> Generator[PageBatch]:
    """Prefetch: yield the same batches, each read and typeset by a thread while the previous one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


@contextmanager
def _aside(take: Callable[[Page], None]) -> Generator[Callable[[Page], None]]:
    """Open a queue of pages for a thread that calls `take` with each page in their order, as a context manager.

    Yields:
        A function that queues a page; it blocks while the queue is full.

    Raises:
        Exception: the first error of `take`, at the next page or when the context ends.
    """
    queue: Queue[list[Page]] = Queue(1)
    faults: list[Exception] = []
    waiting: list[Page] = []

    def follow() -> None:
        while pages := queue.get():
            if faults:
                continue  # empty the queue, or the producer would wait for ever
            try:
                for page in pages:
                    take(page)
            except Exception as fault:
                faults.append(fault)

    def put(page: Page) -> None:
        nonlocal waiting
        if faults:
            raise faults[0]
        waiting.append(page)
        if len(waiting) == _AT_ONCE:
            queue.put(waiting)
            waiting = []

    thread = Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield put
        if waiting:
            queue.put(waiting)
    finally:
        queue.put([])
        thread.join()
    if faults:
        raise faults[0]


class _PdfWriter:
    """Writes pages into a PDF document, and the objects that all pages share."""

    def __init__(
        self,
        document: Document,
        layout: PageLayout,
        headers: Sequence[Header],
        title_marks: Sequence[Sequence[TitleMark]],
        tagged: bool,
        about: ReportMetadata,
        regular: Typesetter,
        accent: bool,
    ) -> None:
        self._document = document
        self._accent = accent
        self._about = about
        self._left = footer(about, layout, regular.shaper)
        self._layout = layout
        self._headers = headers
        self._title_marks = list(title_marks)
        self._tagged = tagged
        self._root = document.reserve_numbers()
        self._catalogue = document.reserve_numbers()
        self._resources = document.reserve_numbers()
        self._nodes: list[int] = []
        self._pages = array("L")
        self._marked: list[MarkedContent] = []
        self._numbered = layout.width - MARGIN - _TOTAL
        self._advance = {char: regular.shaper.width(char) for char in "Page of,0123456789"}

    # --- pages

    def add(self, page: Page) -> None:
        """Write a page."""
        document = self._document
        if len(self._pages) % _NODE == 0:
            self._nodes.append(document.reserve_numbers())
        place = len(self._pages)
        streams = [document.reserve_numbers()]
        if page.title:
            # Uncompressed: the texts that differ between runs have a fixed length, so that all offsets stay the same.
            document.write_stream(streams[0], page.title, packed=False)
            streams.append(document.reserve_numbers())
        document.write_stream(streams[-1], self._drawn(page, place))
        number_of = document.reserve_numbers()
        self._pages.append(number_of)
        refs = b" ".join(b"%d 0 R" % one for one in streams)
        more = b"/StructParents %d/Tabs/S" % place if self._tagged else b""
        document.write_compressed_object(number_of, b"<</Type/Page/Parent %d 0 R/Resources %d 0 R/Contents[%b]%b>>" % (
            self._nodes[-1], self._resources, refs, more,
        ))  # fmt: skip
        if self._tagged:
            lines = self._title_marks.pop(0) if page.title else ()
            caption = page.first and bool(self._headers[page.panel or 0].title)
            self._marked.append(MarkedContent(lines, page.panel or 0, page.first, page.rows, caption, page.kinds))

    def _drawn(self, page: Page, place: int) -> bytes:
        # Joined as they are, for speed: each of these parts ends in white space, so that no tokens meet.
        return b"".join((
            b"/Artifact BMC\n", page.ground, b"EMC\n", self._header(page), page.body,
            b"/Artifact BMC ", self._foot(place), b" EMC\n",
        ))  # fmt: skip

    def _header(self, page: Page) -> bytes:
        if page.panel is None:
            return b""
        shown = self._headers[page.panel]
        if not page.first:
            return b"/Artifact BMC/H%d Do EMC\n" % page.panel
        first = len(self._title_marks[0]) if page.title and self._title_marks else 0
        roles = [b"Caption"] * bool(shown.title) + [b"TH"] * len(shown.cells)
        marks = [b"/%b<</MCID %d>>BDC" % (role, first + n) if self._tagged else b"" for n, role in enumerate(roles)]
        return join_tokens(
            b"/Artifact BMC ", shown.draw_background(page.top), b"EMC\n", shown.draw_cells(page.top, marks)
        )

    def _foot(self, place: int) -> bytes:
        text = f"Page {place + 1:,} of "
        left = self._numbered - sum(map(self._advance.__getitem__, text)) * FOOTER_SIZE / 1000
        return b"/F Do %b/T Do" % draw_page_number(text, left)

    # --- everything else

    def close(
        self, bookmarks: Sequence[BookmarkTarget], faces: Sequence[Typeface], heading_marks: Sequence[int]
    ) -> None:
        """Write the objects that all pages share and finish the file.

        Args:
            heading_marks: number of MCIDs of the heading of a group in each panel; empty if groups have no headings.
        """
        document = self._document
        fonts_of = b"".join(b"/%b %d 0 R" % (face.name.encode(), _font(document, face)) for face in faces)
        forms = [
            (b"F", self._left, False),
            (b"T", self._total(), True),
            *((b"H%d" % n, self._repeated(shown), True) for n, shown in enumerate(self._headers)),
        ]
        named = b"".join(b"/%b %d 0 R" % (name, self._form(drawn, packed, fonts_of)) for name, drawn, packed in forms)
        spaces = self._colour_spaces() if self._accent else b""
        document.write_compressed_object(
            self._resources, b"<</Font<<%b>>/XObject<<%b>>%b>>" % (fonts_of, named, spaces)
        )
        self._tree()
        facts = self._outline(bookmarks)
        if self._tagged:
            columns = [len(panel.columns) for panel in self._layout.panels]
            root = write_structure(document, self._pages, self._marked, columns, heading_marks)
            facts += b"/StructTreeRoot %d 0 R/MarkInfo<</Marked true>>" % root
        metadata, profile, intent, info = (document.reserve_numbers() for _ in range(4))
        document.write_stream(
            metadata, xmp_packet(self._about, self._tagged), b"/Type/Metadata/Subtype/XML", packed=False
        )
        document.write_stream(profile, grey_profile(), b"/N 1")
        document.write_compressed_object(
            intent,
            b"<</Type/OutputIntent/S/GTS_PDFA1/OutputConditionIdentifier(Grey, gamma 2.2)/Info(Grey, gamma 2.2)"
            b"/DestOutputProfile %d 0 R>>" % profile,
        )
        document.write_compressed_object(
            self._catalogue,
            b"<</Type/Catalog/Pages %d 0 R/Metadata %d 0 R/OutputIntents[%d 0 R]/Lang(en)"
            b"/ViewerPreferences<</DisplayDocTitle true>>%b>>" % (self._root, metadata, intent, facts),
        )
        document.write_object(info, info_dictionary(self._about))
        document.finish(self._catalogue, info, self._about.run.encode())

    def _tree(self) -> None:
        count = len(self._pages)
        for n, node in enumerate(self._nodes):
            kids = self._pages[n * _NODE : (n + 1) * _NODE]
            refs = b" ".join(b"%d 0 R" % kid for kid in kids)
            facts = (self._root, len(kids), refs)
            self._document.write_compressed_object(node, b"<</Type/Pages/Parent %d 0 R/Count %d/Kids[%b]>>" % facts)
        refs = b" ".join(b"%d 0 R" % node for node in self._nodes)
        box = b" ".join(map(number, (0, 0, self._layout.width, self._layout.height)))
        self._document.write_compressed_object(
            self._root,
            b"<</Type/Pages/Count %d/Kids[%b]/MediaBox[%b]>>" % (count, refs, box),
        )

    def _form(self, drawn: bytes, packed: bool, fonts_of: bytes) -> int:
        box = b" ".join(map(number, (0, 0, self._layout.width, self._layout.height)))
        form = self._document.reserve_numbers()
        facts = b"/Type/XObject/Subtype/Form/BBox[%b]/Resources<</Font<<%b>>>>" % (box, fonts_of)
        self._document.write_stream(form, drawn, facts, packed)
        return form

    def _colour_spaces(self) -> bytes:
        """Write the profile of the accent colour, and return the entry of the resources that names it."""
        profile = self._document.reserve_numbers()
        self._document.write_stream(profile, colour_profile(), b"/N 3")
        return b"/ColorSpace<<%b[/ICCBased %d 0 R]>>" % (ACCENT_SPACE, profile)

    def _total(self) -> bytes:
        return draw_page_number(f"{len(self._pages):,}", self._numbered)

    def _repeated(self, shown: Header) -> bytes:
        top = self._layout.top
        return join_tokens(shown.draw_background(top), shown.draw_cells(top, [b""] * shown.mark_count))

    def _outline(self, bookmarks: Sequence[BookmarkTarget]) -> bytes:
        if not bookmarks:
            return b""
        document = self._document
        root = document.reserve_numbers()
        first = document.reserve_numbers(len(bookmarks))
        last = first + len(bookmarks) - 1
        for n, place in enumerate(bookmarks, first):
            around = (b"/Prev %d 0 R" % (n - 1) if n > first else b"") + (
                b"/Next %d 0 R" % (n + 1) if n < last else b""
            )
            where = (text_string(place.text), root, around, self._pages[place.page], number(place.top))
            document.write_compressed_object(n, b"<</Title %b/Parent %d 0 R%b/Dest[%d 0 R/XYZ null %b null]>>" % where)
        document.write_compressed_object(
            root, b"<</Type/Outlines/First %d 0 R/Last %d 0 R/Count %d>>" % (first, last, len(bookmarks))
        )
        return b"/Outlines %d 0 R/PageMode/UseOutlines" % root


def _font(document: Document, face: Typeface) -> int:
    """Write a font with the glyphs that were used, and return its object number."""
    font, descendant, descriptor, program, codes, unicode = (document.reserve_numbers() for _ in range(6))
    name = b"WHOHAS+whohas-%b" % face.name.encode()
    data = face.to_truetype()
    document.write_stream(program, data, b"/Length1 %d" % len(data))
    system = b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
    document.write_stream(codes, face.to_cmap(), b"/Type/CMap/CMapName/%b-codes%b" % (face.name.encode(), system))
    document.write_stream(unicode, face.to_unicode())
    box = b" ".join(b"%d" % one for one in face.bounding_box())
    document.write_compressed_object(
        descriptor,
        b"<</Type/FontDescriptor/FontName/%b/Flags 4/FontBBox[%b]/ItalicAngle 0/Ascent 1069/Descent -293"
        b"/CapHeight 714/StemV 80/FontFile2 %d 0 R>>" % (name, box, program),
    )
    widths = b" ".join(b"%d" % width for width in face.slot_widths)
    document.write_compressed_object(
        descendant,
        b"<</Type/Font/Subtype/CIDFontType2/BaseFont/%b%b/FontDescriptor %d 0 R/CIDToGIDMap/Identity/W[0[%b]]>>"
        % (name, system, descriptor, widths),
    )
    document.write_compressed_object(
        font,
        b"<</Type/Font/Subtype/Type0/BaseFont/%b/Encoding %d 0 R/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>"
        % (name, codes, descendant, unicode),
    )
    return font
