"""Pages of the audit log: read from its end, with filters, across blocks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whohas.audit.log_file import EventFilter, LogPage, read_page


def write(path: Path, count: int, rest: str = "") -> None:
    lines = (
        json.dumps({"type": f"whohas.{'run.started' if n % 3 else 'user.created'}", "n": n, "pad": "ä" * (n % 700)})
        for n in range(count)
    )
    path.write_text("".join(f"{line}\n" for line in lines) + rest)


def numbers(page: LogPage) -> list[int]:
    return [event["n"] for event in page.events]


def test_pages_go_back_to_the_first_event(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    write(path, 1_000, rest='{"type": "half a li')
    seen: list[int] = []
    before: int | None = None
    while True:
        page = read_page(path, EventFilter(), 37, before)
        seen += numbers(page)
        if page.older is None:
            break
        before = page.older
    assert seen == list(range(999, -1, -1))


def test_filter_looks_further_back(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    write(path, 1_000)
    assert numbers(read_page(path, EventFilter(type="user.created"), 3)) == [999, 996, 993]
    assert read_page(path, EventFilter(type="nothing"), 3) == LogPage((), None)


def test_reading_stops_after_so_many_bytes(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    write(path, 1_000)
    page = read_page(path, EventFilter(type="nothing"), 3, most=1)
    assert page.events == () and page.older is not None
    following = read_page(path, EventFilter(), 1, page.older)
    assert numbers(following)[0] < 999


@pytest.mark.parametrize("before", [0, 1, 7, 12_345, 10**18])
def test_any_position_is_answered(tmp_path: Path, before: int) -> None:
    path = tmp_path / "audit.ndjson"
    write(path, 100)
    read_page(path, EventFilter(), 10, before)


def test_missing_log_has_no_events(tmp_path: Path) -> None:
    assert read_page(tmp_path / "none", EventFilter(), 10) == LogPage((), None)
