"""Which part of a file a Range header asks for (RFC 9110, section 14)."""

from __future__ import annotations

import pytest

from whohas.api.downloads import byte_range
from whohas.api.errors import RangeNotSatisfiable


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 6)),
        ("bytes=5-", (5, 10)),
        ("bytes=0-999", (0, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("BYTES = 1 - 2", (1, 3)),
        (f"bytes=0-{10**20}", (0, 10)),
        (f"bytes=-{10**20}", (0, 10)),
        (f"bytes={'0' * 30}2-5", (2, 6)),
    ],
)
def test_one_range_is_a_part(header: str, part: tuple[int, int]) -> None:
    assert byte_range(header, 10) == part


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "lines=1-2",
        "bytes=5-2",
        "bytes=0-1,3-4",
        f"bytes={10**20}-5",
        "bytes=0-" + "9" * 5_000,
    ],
)
def test_what_is_no_single_range_is_ignored(header: str | None) -> None:
    assert byte_range(header, 10) is None


@pytest.mark.parametrize(
    "header", ["bytes=10-", "bytes=99-100", "bytes=-0", f"bytes={10**20}-", f"bytes={10**20}-{10**21}"]
)
def test_a_range_beyond_the_end_cannot_be_had(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        byte_range(header, 10)
    assert refused.value.size == 10


def test_the_last_bytes_of_an_empty_file_are_everything() -> None:
    assert byte_range("bytes=-1", 0) is None
    for beyond in ("bytes=0-", "bytes=-0"):
        with pytest.raises(RangeNotSatisfiable):
            byte_range(beyond, 0)
