"""The threat model names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "security.md"


def test_every_test_that_the_threat_model_names_exists() -> None:
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    assert len(named) > 40
    assert named <= there, named - there


def test_every_threat_has_what_stops_it_and_a_test() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    threats = [row for row in rows if row[0] not in ("| threat", "| ---")]
    assert len(threats) > 20
    for row in threats:
        assert len(row) == 3, row
        assert "`test_" in row[2], row[0]
