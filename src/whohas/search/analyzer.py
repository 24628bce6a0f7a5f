"""Text to tokens, exactly as Lucene 8.11's StandardAnalyzer without stop words does it.

The rules are those of the grammar of its StandardTokenizer: Unicode's word break (UAX #29, Unicode 9.0), where each
run of South East Asian letters, each Han or Hiragana character and each emoji (TR #51, 11.0) is a token too. The
longest match wins, and what no rule matches separates tokens. Then its LowerCaseFilter.

`whohas.search.tokenize` does the same to columns.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

ANALYSER_VERSION: Final = 1
"""The version of the words of texts: of this module, of `whohas.search.tokenize` and of an index's columns of words.

Raise it by hand with every change after which some text has other words. Indexes of another version are then made
again before they are searched, and a run of another version is known by it. A test holds the words of a fixed corpus
to their version.
"""

VALUE_SEPARATOR = "\x1f"
"""Stands between the values of a cell that holds several."""

VALUE_BREAK = "|"
"""Stands between the tokens of different values; never a token itself."""

MAX_TOKEN = 255
"""UTF-16 units the tokenizer sees from the start of a token, and so the longest token: what is longer is cut."""

# Characters of a match that cannot exceed MAX_TOKEN even if each takes two units.
_SURELY_SHORT = MAX_TOKEN // 2

# In ASCII a token is letters, digits and `_` with at least one letter or digit; . : ' may stand between two letters
# and . , ; ' between two digits. The bound keeps a long line of `_` from costing the square of its length.
_ASCII_TOKEN = re.compile(
    r"_{0,254}+[a-z0-9](?:[a-z0-9_]|(?<=[a-z])[.:'](?=[a-z])|(?<=[0-9])[.,;'](?=[0-9]))*+", re.ASCII
)


def tokens(text: str) -> list[str]:
    """The tokens of a text in order, in lower case; repeated ones as often as they occur.

    Tokens hold no space and are 1 to 255 UTF-16 units long. `VALUE_SEPARATOR` separates like any other control
    character here.
    """
    if text.isascii():
        lowered = text.lower()
        if len(lowered) <= MAX_TOKEN:
            return _ASCII_TOKEN.findall(lowered)
        return _cut(_ASCII_TOKEN, lowered, lowered)
    from whohas.search.characters import character_class

    classes = "".join(map(character_class, text))
    lowered = lower(text)
    if len(classes) <= _SURELY_SHORT:
        return [lowered[match.start() : match.end()] for match in _token().finditer(classes)]
    return _cut(_token(), classes, lowered)


def lower(text: str) -> str:
    """Lower case one code point at a time, as Java does it: no final sigma, no second character for a dotted I."""
    return text.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()


def _cut(pattern: re.Pattern[str], classes: str, lowered: str) -> list[str]:
    """The tokens of a text in which the tokenizer's window may end a token early."""
    found: list[str] = []
    at = 0
    while match := pattern.search(classes, at):
        at, end = match.span()
        if end - at <= _SURELY_SHORT:
            found.append(lowered[at:end])
            at = end
        while at < end:
            seen = pattern.match(classes, at, _window_end(lowered, at))
            if seen:
                found.append(lowered[at : seen.end()])
            at = seen.end() if seen else at + 1
    return found


def _window_end(text: str, start: int) -> int:
    """Where the window that begins at `start` ends; a character of two units is in it whole or not at all."""
    window = text[start : start + MAX_TOKEN]
    if window.isascii():
        return start + len(window)
    units = 0
    for index, character in enumerate(window):
        units += 2 if character > "\uffff" else 1
        if units > MAX_TOKEN:
            return start + index
    return start + len(window)


@cache
def _token() -> re.Pattern[str]:
    """One token, over the letters of `character_class`.

    Alternatives are ordered and quantifiers possessive so that the first match is the longest one and the time is
    linear in the length of the text.
    """
    marks = "[xfFkztTs]*+"  # WB4: combining marks and the like belong to the character before them
    plain_marks = "[xkztTs]*+"  # the same without the presentation selectors, which mean something after an emoji

    letter = f"[APH]{marks}"
    letters = f"{letter}(?:[:.']{marks}{letter})*+"
    digits = f"N{marks}(?:[,.']{marks}N{marks})*+"
    # A Hebrew letter keeps a single quote that follows it, and a double quote before another Hebrew letter, unless a
    # connector has joined it to the letter before: the grammar of Lucene has it so, the annex has not.
    hebrew = f"H{marks}(?:\"{marks}H{marks}|'{marks})"
    katakana = f"K{marks}"
    low_line = f"_{marks}"
    segment = f"(?:(?:{katakana})++|(?:{hebrew}|{digits}|{letters})++)"
    word = f"(?:{low_line}){{0,254}}+{segment}(?:(?:{low_line})++{segment})*+(?:{low_line})*+"

    modified = f"B{plain_marks}M{plain_marks}"
    pictured = f"[CBP]{plain_marks}F?+"
    modifier = f"M{plain_marks}"
    # A joiner may have been taken already, as a mark of the character before; a modifier alone takes no second one.
    joined = f"(?:(?:z++|(?<=z))(?:{modified}|{pictured})|(?:z|(?<=z)){modifier})"
    rest = f"(?:{joined}++|t++T)?+"
    emoji = f"(?:z{{0,254}}+(?:{modified}|{pictured})|{modifier}){rest}"
    # An emoji that is a letter too makes an emoji only where it is joined to one that is none: a word is longer else.
    lettered = f"P{plain_marks}F?+"
    emoji_not_word = f"(?:(?!P)|(?={lettered}(?:(?:z++|(?<=z)){lettered})*+{joined})){emoji}"
    keycap = f"#[xkztTs]*F?k{plain_marks}"
    flag = f"R{marks}R{marks}"

    south_east_asian = f"(?:[Ss]{marks})++"
    ideograph = f"[IJ]{marks}"
    return re.compile("|".join((emoji_not_word, word, ideograph, south_east_asian, keycap, flag)))
