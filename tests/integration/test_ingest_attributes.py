"""Attributes that a file holds as JSON in a column."""

from __future__ import annotations

from pathlib import Path

import pytest

from intake import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_attributes_in_a_column_are_a_json_object_or_null(rig: Rig) -> None:
    rig.write(
        **{"accounts.csv": 'sourceName,nativeIdentity,attributes\nAD,1,"{""a"": 1}"\nAD,2,not json\nAD,3,[1]\nAD,4,\n'}
    )
    report = rig.load(".")
    assert [row["nativeIdentity"] for row in rig.rows("accounts")] == ["1", "2", "3", "4"]
    assert [bool(row["attributes"]) for row in rig.rows("accounts")] == [True, False, False, False]
    assert (report.rejected, report.emptied) == (0, 2)
    assert [(bad.line, bad.column, bad.reason) for bad in report.emptied_cells] == [
        (3, "attributes", "'not json' is no JSON object"),
        (4, "attributes", "'[1]' is no JSON object"),
    ]
