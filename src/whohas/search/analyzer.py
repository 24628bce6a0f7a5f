"""Text analysis: cut a text into lower-case tokens exactly as Lucene 8.11's StandardAnalyzer without stop words does.

The rules are those of the StandardTokenizer's grammar: Unicode word break (UAX #29, Unicode 9.0), where each run of
South East Asian letters, each Han or Hiragana character and each emoji (TR #51, 11.0) is a token too. The longest match
wins; characters that no rule matches separate tokens. The LowerCaseFilter follows.

This module analyses one text, such as a query's. `whohas.search.tokenize` does the same for whole Arrow columns.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

ANALYSER_VERSION: Final = 1
"""The version of the analyser: of this module, of `whohas.search.tokenize` and of an index's `:words` columns.

Raise it by hand with every change that makes some text give other tokens. Indexes of another version are then rebuilt
before they are searched, and runs record the version that they were made with. A test compares the tokens of a fixed
corpus with those recorded for this version.
"""

VALUE_SEPARATOR = "\x1f"
"""Separates the values of a multi-valued cell, which is stored as one text."""

VALUE_BREAK = "|"
"""Separates the tokens of different values in a `:words` column; it is never a token itself."""

MAX_TOKEN_UNITS = 255
"""The longest token in UTF-16 units. The tokenizer sees only this many from a token's start, so longer ones are cut."""

# A match of this many characters fits into MAX_TOKEN even if each character takes two UTF-16 units.
_SURELY_SHORT = MAX_TOKEN_UNITS // 2

# In ASCII a token is letters, digits and `_` with at least one letter or digit; . : ' may stand between two letters
# and . , ; ' between two digits. Without the bound of 254, a long line of `_` would take quadratic time.
_ASCII_TOKEN = re.compile(
    r"_{0,254}+[a-z0-9](?:[a-z0-9_]|(?<=[a-z])[.:'](?=[a-z])|(?<=[0-9])[.,;'](?=[0-9]))*+", re.ASCII
)


def tokenize(text: str) -> list[str]:
    """Return the tokens of a text in order and in lower case, duplicates included.

    Tokens contain no space and are 1 to 255 UTF-16 units long; a longer word is cut into several. `VALUE_SEPARATOR`
    separates tokens here like any other control character. Example: `"O'Brien, 3rd floor"` gives `["o'brien", "3rd",
    "floor"]`.
    """
    if text.isascii():
        lowered = text.lower()
        if len(lowered) <= MAX_TOKEN_UNITS:
            return _ASCII_TOKEN.findall(lowered)
        return _cut(_ASCII_TOKEN, lowered, lowered)
    from whohas.search.characters import character_class

    classes = "".join(map(character_class, text))
    lowered = lower_case(text)
    if len(classes) <= _SURELY_SHORT:
        return [lowered[match.start() : match.end()] for match in _token().finditer(classes)]
    return _cut(_token(), classes, lowered)


def lower_case(text: str) -> str:
    """Return a text in lower case, converted one code point at a time as Java's `Character.toLowerCase` does.

    Unlike `str.lower`, a capital sigma at the end of a word becomes U+03C3, not the final form U+03C2, and
    U+0130 (dotted capital I) becomes "i", not two characters.
    """
    return text.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()


def _cut(pattern: re.Pattern[str], classes: str, lowered: str) -> list[str]:
    """Return the tokens of a text that may have tokens longer than `MAX_TOKEN_UNITS`.

    Such a match is matched again within a window of `MAX_TOKEN_UNITS` units from its start, then from where that match
    ends.
    Example: a word of 300 letters gives two tokens, of 255 and 45 letters.

    Args:
        classes: a string of one character for each of `lowered`, which `pattern` matches.
        lowered: the text in lower case, from which the tokens are cut.
    """
    cut_tokens: list[str] = []
    start = 0
    while match := pattern.search(classes, start):
        start, end = match.span()
        if end - start <= _SURELY_SHORT:
            cut_tokens.append(lowered[start:end])
            start = end
        while start < end:
            windowed = pattern.match(classes, start, _window_end(lowered, start))
            if windowed:
                cut_tokens.append(lowered[start : windowed.end()])
            start = windowed.end() if windowed else start + 1
    return cut_tokens


def _window_end(text: str, start: int) -> int:
    """Return the index at which the window of `MAX_TOKEN_UNITS` UTF-16 units from `start` ends.

    A character of two units (above U+FFFF) is never split.
    """
    window = text[start : start + MAX_TOKEN_UNITS]
    if window.isascii():
        return start + len(window)
    units = 0
    for index, character in enumerate(window):
        units += 2 if character > "\uffff" else 1
        if units > MAX_TOKEN_UNITS:
            return start + index
    return start + len(window)


@cache
def _token() -> re.Pattern[str]:
    """Return the pattern of one token, to be matched against a string of `character_class` letters.

    Alternatives are ordered and quantifiers possessive so that the first match is the longest one and the time is
    linear in the length of the text.
    """
    marks = "[xfFkztTs]*+"  # WB4: combining marks and the like belong to the character before them
    plain_marks = "[xkztTs]*+"  # the same without the variation selectors (f, F), which change an emoji before them

    letter = f"[APH]{marks}"
    letters = f"{letter}(?:[:.']{marks}{letter})*+"
    digits = f"N{marks}(?:[,.']{marks}N{marks})*+"
    # A Hebrew letter keeps a single quote that follows it, and a double quote before another Hebrew letter, unless a
    # connector joins it to the letter before it. This follows Lucene's grammar, which differs from UAX #29 here.
    hebrew = f"H{marks}(?:\"{marks}H{marks}|'{marks})"
    katakana = f"K{marks}"
    low_line = f"_{marks}"
    segment = f"(?:(?:{katakana})++|(?:{hebrew}|{digits}|{letters})++)"
    word = f"(?:{low_line}){{0,254}}+{segment}(?:(?:{low_line})++{segment})*+(?:{low_line})*+"

    modified = f"B{plain_marks}M{plain_marks}"
    pictured = f"[CBP]{plain_marks}F?+"
    modifier = f"M{plain_marks}"
    # A zero width joiner may already have been matched as a mark of the character before it, hence the look-behind.
    joined = f"(?:(?:z++|(?<=z))(?:{modified}|{pictured})|(?:z|(?<=z)){modifier})"
    rest = f"(?:{joined}++|t++T)?+"
    emoji = f"(?:z{{0,254}}+(?:{modified}|{pictured})|{modifier}){rest}"
    # An emoji that is also a letter (P) counts as an emoji only if it is joined to one that is not a letter; otherwise
    # the word rule gives the longer match.
    lettered = f"P{plain_marks}F?+"
    emoji_not_word = f"(?:(?!P)|(?={lettered}(?:(?:z++|(?<=z)){lettered})*+{joined})){emoji}"
    keycap = f"#[xkztTs]*F?k{plain_marks}"
    flag = f"R{marks}R{marks}"

    south_east_asian = f"(?:[Ss]{marks})++"
    ideograph = f"[IJ]{marks}"
    return re.compile("|".join((emoji_not_word, word, ideograph, south_east_asian, keycap, flag)))
