"""Text becomes the tokens that Lucene's StandardAnalyzer makes of it, alone and in columns."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from searching import Corpus
from whohas.search.analyzer import ANALYSER_VERSION, MAX_TOKEN_UNITS, VALUE_BREAK, VALUE_SEPARATOR, tokenize
from whohas.search.tokenize import tokenize_column

# Each expectation is what Lucene 8.11.4 says.
CASES = {
    "": [],
    " \t\r\n-": [],
    "Adam.Kennedy@sailpointdemo.com": ["adam.kennedy", "sailpointdemo.com"],
    "J-1001": ["j", "1001"],
    "+1 555-867-5309": ["1", "555", "867", "5309"],
    "USER_UNLOCK_PASSED": ["user_unlock_passed"],
    "O'Brien": ["o'brien"],
    "'Active Directory'": ["active", "directory"],
    "CN=Bob,OU=People": ["cn", "bob", "ou", "people"],
    "a:b a.b a,b a;b a-b a/b": ["a:b", "a.b", "a", "b", "a", "b", "a", "b", "a", "b"],
    "1.2 1,2 1;2 1'2 1:2 1-2": ["1.2", "1,2", "1;2", "1'2", "1", "2", "1", "2"],
    "a1.b2 1.b a.2 1a.b": ["a1", "b2", "1", "b", "a", "2", "1a.b"],
    "a..b .a. 1,,2 a.": ["a", "b", "a", "1", "2", "a"],
    "_ __ _a_ a__b 1_2 a._b a_.b _|x": ["_a_", "a__b", "1_2", "a", "_b", "a_", "b", "x"],
    "2019-01-01T00:00:00.000Z": ["2019", "01", "01t00", "00", "00.000z"],
    "192.168.0.1:8080": ["192.168.0.1", "8080"],
    "#1 * # 50%": ["1", "50"],
    "Müller Straße": ["müller", "straße"],
    "İstanbul IŞIK": ["istanbul", "işik"],
    "ΟΔΥΣΣΕΥΣ": ["οδυσσευσ"],
    "e\u0301te\u0301": ["e\u0301te\u0301"],
    "\u0301 a": ["a"],
    "a\u0301.\u0302b": ["a\u0301.\u0302b"],
    "soft\u00adhyphen zero\u200bwidth": ["soft\u00adhyphen", "zero", "width"],
    "a\u200db": ["a\u200db"],
    "don\u2019t l\u00b7l": ["don\u2019t", "l\u00b7l"],
    "東京タワーです": ["東", "京", "タワー", "で", "す"],
    "ハンドa": ["ハンド", "a"],
    "カ_ナ": ["カ_ナ"],
    "한국어 텍스트": ["한국어", "텍스트"],
    "ไทยภาษา abc": ["ไทยภาษา", "abc"],
    "السلام عليكم \u0661\u066b\u0662": ["السلام", "عليكم", "\u0661\u066b\u0662"],
    'צה"ל ג\'ורג צ\' "א"': ['צה"ל', "ג'ורג", "צ'", "א"],
    '\u05d0"\u05d1"\u05d2': ['\u05d0"\u05d1', "\u05d2"],
    "\uff11\uff0c\uff12 \uff21\uff0c\uff22": ["\uff11\uff0c\uff12", "\uff41", "\uff42"],
    "😀😀 hi": ["😀", "😀", "hi"],
    "👨\u200d👩\u200d👧 👍🏽": ["👨\u200d👩\u200d👧", "👍🏽"],
    "🇩🇪🇫🇷🇮": ["🇩🇪", "🇫🇷"],
    "#\ufe0f\u20e3 1\ufe0f\u20e3": ["#\ufe0f\u20e3", "1\ufe0f\u20e3"],
    "\u2122 \u2139a \u2139\u200d😀": ["\u2122", "\u2139a", "\u2139\u200d😀"],
    "\U0001f3f4\U000e0067\U000e0062\U000e007f x": ["\U0001f3f4\U000e0067\U000e0062\U000e007f", "x"],
    "\u200d\u200d😀": ["\u200d\u200d😀"],
    "😀\ufe0f\u200d\u200d\U0001f3fe": ["😀\ufe0f", "\U0001f3fe"],
    "\U0001e900\U0001e901": ["\U0001e922\U0001e923"],
    "\u1c90 ა": ["ა"],
    "a" * 255: ["a" * 255],
    "A" * 600: ["a" * 255, "a" * 255, "a" * 90],
    "a" * 254 + ".b": ["a" * 254, "b"],
    "a" * 253 + ".b": ["a" * 253 + ".b"],
    "a" * 255 + "_": ["a" * 255],
    "_" * 300: [],
    "_" * 300 + "a": ["_" * 254 + "a"],
    "ä" * 300: ["ä" * 255, "ä" * 45],
    "\U0001e922" * 200: ["\U0001e922" * 127, "\U0001e922" * 73],
    "ไ" * 300 + " a": ["ไ" * 255, "ไ" * 45, "a"],
}


@pytest.mark.parametrize(("text", "expected"), CASES.items(), ids=lambda case: ascii(case)[:40])
def test_a_text_has_the_tokens_lucene_gives_it(text: str, expected: list[str]) -> None:
    assert tokenize(text) == expected


def test_lower_case_moves_no_character() -> None:
    every = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    assert tokenize(f"{every} Last")[-1] == "last"


@pytest.mark.parametrize("text", ["_" * 200_000, "_" * 200_000 + "ä", "\u200d" * 200_000, "a" * 200_000, "ä" * 200_000])
def test_a_long_text_is_cut_in_time(text: str) -> None:
    assert all(len(token) <= MAX_TOKEN_UNITS for token in tokenize(text))


_ASCII = st.text(st.one_of(st.sampled_from("aZ09_.:',;\" -|#"), st.characters(max_codepoint=127)))
_SCRIPTS = st.sampled_from(
    "aZ1_.:', äÖßİΣ\u0301\u200d\ufe0f\u20e3#東カひ한ไ\u0e31א\"ب١😀👍🏽🇩\u2139\u00ad\U000e0067\U000e007f\U0001e900"
)
_ANY = st.text(st.one_of(_SCRIPTS, st.characters(exclude_categories=["Cs"])))
_LONG = st.lists(st.tuples(st.sampled_from(["a", "_", ".", " ", "1", "ä", "😀"]), st.integers(1, 300)), max_size=5).map(
    lambda runs: "".join(character * times for character, times in runs)
)
_TEXTS = st.one_of(_ASCII, _ANY, _LONG)
_CELLS = st.lists(_TEXTS, max_size=4).map(VALUE_SEPARATOR.join)


def _line(cell: str) -> str:
    values = [" ".join(found) for value in cell.split(VALUE_SEPARATOR) if (found := tokenize(value))]
    return f" {' | '.join(values)} " if values else ""


@settings(deadline=None)
@given(_TEXTS)
def test_a_token_is_short_lower_case_without_spaces(text: str) -> None:
    for token in tokenize(text):
        assert 1 <= len(token.encode("utf-16-le")) // 2 <= MAX_TOKEN_UNITS
        assert not set(token) & {" ", VALUE_BREAK, VALUE_SEPARATOR}


@settings(deadline=None)
@given(_TEXTS.filter(lambda text: VALUE_SEPARATOR not in text))
def test_a_text_becomes_its_tokens_between_spaces(text: str) -> None:
    found = tokenize(text)
    assert tokenize_column(pa.array([text])).to_pylist() == [f" {' '.join(found)} " if found else ""]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), _CELLS)), st.sampled_from([pa.string(), pa.large_string()]))
@example([None, None], pa.string())
@example(["a\x1fb", "\x1fa\x1f\x1f", "a\x1f_\x1f-\x1fb", "\x1f", "c"], pa.string())
@example(["a", "_", "b_", None, "_c", "ä", "_"], pa.string())
@example(["a" * 254 + ".b", "c", "d" * 256 + "\x1f" + "e", "f " * 300], pa.string())
def test_a_column_is_its_cells(cells: list[str | None], kind: pa.DataType) -> None:
    found = tokenize_column(pa.array(cells, kind))
    assert found.type == kind
    assert found.null_count == 0
    found.validate(full=True)
    assert found.to_pylist() == [_line(cell or "") for cell in cells]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), _CELLS)), st.integers(0, 5), st.integers(0, 5))
def test_a_slice_and_a_chunk_are_their_cells(cells: list[str | None], start: int, length: int) -> None:
    whole = pa.array(cells, pa.string())
    part = whole.slice(min(start, len(cells)), length)
    chunked = pa.chunked_array([part, whole, whole.slice(len(cells))], pa.string())
    for values in (part, chunked):
        assert tokenize_column(values).to_pylist() == [_line(cell or "") for cell in values.to_pylist()]


def test_several_values_are_kept_apart() -> None:
    cells = ["a b\x1fc", "\x1fa", "a\x1f\x1f--\x1fb\x1f", "\x1f\x1f", "ä\x1f\x1fß", "A|B"]
    assert tokenize_column(pa.array(cells)).to_pylist() == [" a b | c ", " a ", " a | b ", "", " ä | ß ", " a b "]


@pytest.mark.parametrize(
    "values",
    [pa.array([], pa.string()), pa.chunked_array([], pa.string()), pa.array(["a"]).slice(1)],
    ids=["array", "chunks", "slice"],
)
def test_nothing_has_no_words(values: pa.Array) -> None:
    assert tokenize_column(values).to_pylist() == []


def test_nulls_have_no_words() -> None:
    assert tokenize_column(pa.nulls(3)).to_pylist() == ["", "", ""]
    assert tokenize_column(pa.nulls(3, pa.string())).to_pylist() == ["", "", ""]


def test_many_rows_are_worked_on_in_pieces() -> None:
    cells = [None if row % 7 == 0 else f"Row_{row}.x {'ö' if row % 1000 == 0 else ''}" for row in range(50_000)]
    assert tokenize_column(pa.array(cells)).to_pylist() == [_line(cell or "") for cell in cells]


def test_large_cells_are_worked_on_in_small_pieces() -> None:
    cells = ["Ab, " * (1 << 18), "c", None, "ä " * (1 << 16), "d" * 300, "Ab, " * (1 << 20)]
    assert tokenize_column(pa.array(cells)).to_pylist() == [_line(cell or "") for cell in cells]


def test_numbers_have_no_words() -> None:
    with pytest.raises(TypeError, match="not of int64"):
        tokenize_column(pa.array([1]))


DIGESTS = {
    1: (
        "13eacedd38d41c2d30fd55859867f6ee215163417732de01a6bd8c0786a999e9",
        "96d2c765f054d9f5b87747dea1f83de9f887c5ec7a7da30a990b198da885f4ce",
    ),
}
"""Of each version of the analyser: the digests of the words of a fixed corpus, and of the columns of words of an index.

Where one of these tests fails, some text has other words than before: raise ANALYSER_VERSION, so that indexes of before
are made again, and add the digests of the new version.
"""

_OF_EACH_CLASS = "aZ5_.:',;\" -\u00d6\u03a3\u0130\u0301\u00ad\u200d\ufe0e\ufe0f\u20e3#*\u6771\u30ab\u3072\ud55c\u0e44\u0e31\u05d0\u0661"
_OF_EACH_CLASS += "\U0001f600\U0001f44d\U0001f3fd\U0001f1e9\u2139\u2122\U000e0067\U000e007f\U0001e900\x1f"


def _fixed_corpus() -> Iterator[str]:
    yield from CASES
    yield from (f"x{one}{other}y 1{one}{other}2" for one in map(chr, range(128)) for other in map(chr, range(128)))
    yield from map("".join, itertools.product(_OF_EACH_CLASS, repeat=3))
    # every character that Unicode had when the rules were written, and those that it has got since
    codes = itertools.chain(range(0x80, 0xD800), range(0xE000, 0x32000), range(0xE0000, 0xE0200))
    for some in _batched(codes, 16):
        yield " ".join(f"a{chr(code)}b {chr(code)}" for code in some)


def _batched(codes: Iterable[int], size: int) -> Iterator[tuple[int, ...]]:
    left = iter(codes)
    while some := tuple(itertools.islice(left, size)):
        yield some


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\0")
    return digest.hexdigest()


def test_other_words_need_another_analyser_version() -> None:
    corpus = list(_fixed_corpus())
    assert _digest(tokenize_column(pa.array(corpus)).to_pylist()) == DIGESTS[ANALYSER_VERSION][0]


def test_other_columns_of_words_need_another_analyser_version(tmp_path: Path) -> None:
    texts = ["Ann-Lou O'Neil", "", "--", "\u6771\u4eac Tower_2", "x.y@acme.example", "\u0130\u03a3"]
    people = [
        {"id": f"Id-{n}", "name": text, "tags": [text, "b", text], "attributes": {"City": text, "many": [text, "c d"]}}
        for n, text in enumerate(texts)
    ]
    account = {"id": "A-1", "accountId": "n", "name": "No Body", "source": {"id": "S/1", "name": "S 1"}}
    corpus = Corpus(tmp_path, [{**people[0], "accounts": [account]}, *people[1:]], roles=[{"id": "r", "name": "R 1"}])
    lines: list[str] = []
    for path in sorted((corpus.warehouse.root / "search" / "000000001").glob("*.parquet")):
        table = pq.read_table(path)
        for name in table.column_names:
            if name.endswith(":words"):
                lines += [path.stem, name, *table[name].to_pylist()]
    assert _digest(lines) == DIGESTS[ANALYSER_VERSION][1]
