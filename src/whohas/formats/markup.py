"""Texts of the data in HTML and SVG, without loss of any character.

A program that parses the page (WHATWG HTML) gets the same texts back. Two characters need care: a carriage return is
written as a character reference, because it would be read as a line feed otherwise; NUL, which HTML cannot contain, is
shown as U+2400, in an `abbr` element where the content may have elements.
"""

from __future__ import annotations

from markupsafe import Markup, escape

from whohas.formats.display import encodable

_NUL = Markup('<abbr title="NUL">\u2400</abbr>')


def html_text(text: str) -> Markup:
    """Return a text as the content of an HTML element. A lone surrogate is written as `\\ud800`."""
    return _escaped(text, _NUL)


def plain_text(text: str) -> Markup:
    """Return a text for an attribute in quotes, or for content that has no elements, such as that of SVG texts."""
    return _escaped(text, Markup("\u2400"))


def _escaped(text: str, nul: Markup) -> Markup:
    escaped = escape(encodable(text))
    if "\r" in text or "\0" in text:
        return Markup(escaped.replace("\r", Markup("&#13;")).replace("\0", nul))  # noqa: S704 - escaped above
    return escaped
