"""What is on an HTML page of a report, read by the parser of Python's own library."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path


@dataclass
class Page:
    """The texts of a page; `tags` and `attributes` are the names of all there are.

    `header` and `rows` are those of the table of rows, and `numbers` the rows of all other tables.
    """

    header: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    numbers: list[list[str]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    title: str = ""
    heading: str = ""
    caption: str = ""
    text: str = ""
    policy: str = ""
    tags: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)


_INLINE = {"abbr", "b", "div", "span"}


def read_page(path: Path) -> Page:
    parser = _Parser()
    with path.open(encoding="utf-8", newline="") as file:
        parser.feed(file.read())
    parser.close()
    return parser.page


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._open: list[str] = []
        self._text = self._label = ""
        self._table: list[list[str]] = []
        self._section = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.page.tags.add(tag)
        self.page.attributes.update(named)
        if named.get("http-equiv") == "Content-Security-Policy":
            self.page.policy = named["content"] or ""
        if tag == "meta":
            return
        self._open.append(tag)
        if tag == "table":
            self._table = self.page.numbers if named.get("class") == "numbers" else self.page.rows
        if tag == "tr" and "tbody" in self._open:
            self._table.append([])
        if tag == "th":
            self._section = named.get("scope") == "colgroup"
        if tag not in _INLINE:
            self._text = ""

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            text = "\0" if self._open[-1] == "abbr" else data
            self._text += text
            self.page.text += text

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "each element ends where it should"
        page = self.page
        match tag:
            case "th" | "td" if "tbody" in self._open:
                self._table[-1].append(self._text)
            case "th" if self._table is page.rows:
                (page.sections if self._section else page.header).append(self._text)
            case "dt":
                self._label = self._text
            case "dd":
                page.facts[self._label] = self._text
            case "h1":
                page.heading = self._text
            case "title" if "head" in self._open:
                page.title = self._text
            case "caption":
                page.caption = self._text
