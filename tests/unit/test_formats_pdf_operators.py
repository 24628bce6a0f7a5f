"""Tokens of content streams: joined so that each is read as itself."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from content_streams import operations
from pdf_objects import TOKEN
from whohas.formats.pdf.operators import join_tokens, operation, show_text

_TOKENS = st.sampled_from(
    [b"Tj", b"EMC", b"-0.308", b"25", b"-101", b"0", b".5", b"/R", b"/Span", b"(a)", b"(\\))", b"[", b"]", b"<<", b">>", b"<00>"]
)  # fmt: skip


def tokens(stream: bytes) -> list[bytes]:
    return [token[0] for token in TOKEN.finditer(stream) if token.lastgroup != "skip"]


@given(st.lists(_TOKENS, max_size=12))
@example([b"Tj", b"-0.308", b"Ts"])
@example([b"-101", b"25"])
@example([b"EMC", b"BDC"])
def test_joined_tokens_are_read_as_the_same_tokens(some: list[bytes]) -> None:
    assert tokens(join_tokens(*some)) == some


def test_delimiters_and_spaces_need_no_space_between() -> None:
    assert join_tokens(b"(a)Tj", b"-0.308 Ts", b"[(b)]TJ", b"ET\n", b"BT") == b"(a)Tj -0.308 Ts[(b)]TJ ET\nBT"
    assert join_tokens(b"BT", b"", b"/R 1 Tf") == b"BT/R 1 Tf"


def test_operands_stand_before_their_operator() -> None:
    assert operation(b"Tm", 7, 0, 0, 7.0, 30.8, 700.1234) == b"7 0 0 7 30.8 700.123 Tm"
    assert operation(b"Tf", b"/B", 1) == b"/B 1 Tf"


def test_moves_that_follow_one_another_are_one_number() -> None:
    assert show_text([-101, b"a", 101, -25, b"b", b"c"]) == b"[-101(a)76(bc)]TJ"
    assert show_text([5, -5, b"a", 0, b"b", 7, -7]) == b"[(ab)]TJ"
    assert show_text([b"a", 12]) == b"[(a)12]TJ"


@given(st.lists(st.one_of(st.integers(-5000, 5000), st.sampled_from([b"a", b"bc", b"\\("]))))
def test_strings_and_moves_are_read_back(parts: list[int | bytes]) -> None:
    ((operator, (array,)),) = operations(show_text(parts))
    assert operator == b"TJ"
    assert b"".join(part for part in array if isinstance(part, bytes)) == b"".join(
        part for part in parts if isinstance(part, bytes)
    )
    assert sum(part for part in array if isinstance(part, int)) == sum(part for part in parts if isinstance(part, int))
