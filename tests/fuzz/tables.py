"""CSV files of unknown dialects: `map` proposes a mapping or refuses, and a load takes or refuses what it proposed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import strategies as st

from fuzz.drawing import fuzzed
from fuzz.target import Check, measured
from whohas.errors import WhohasError
from whohas.ingest import load
from whohas.ingest.mapping import read_mapping
from whohas.ingest.proposals import propose
from whohas.warehouse.store import Warehouse

_cell = st.sampled_from(
    (
        "1",
        "2",
        "ann",
        "bob",
        "a@x.example",
        "2024-02-29",
        "29.02.2024",
        "true",
        "0",
        "",
        "a|b",
        "cn=a,dc=x",
        "é",
        '"q"',
        "=1+1",
    )
)
_header = st.sampled_from(("Badge No", "Login", "E-Mail", "Active", "Last logon", "Groups", "Name", "id", "", "Total"))


@st.composite
def _files(draw: st.DrawFn) -> str:
    delimiter, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(("\n", "\r\n", "\r")))
    quoting = draw(st.booleans())
    width = draw(st.integers(1, 5))
    rows = [
        [draw(_header) for _ in range(width)],
        *([draw(_cell) for _ in range(width)] for _ in range(draw(st.integers(0, 6)))),
    ]
    lines = [
        delimiter.join(
            '"' + cell.replace('"', '""') + '"' if quoting or delimiter in cell or '"' in cell else cell for cell in row
        )
        for row in rows
    ]
    return draw(st.sampled_from(("", "", "# made by x\n", "sep=;\n", "\ufeff"))) + end.join(lines) + end


_PIECES = (
    ",", ";", "\t", "|", '"', '""', "\n", "\r\n", "\r", "\\", "\0", "\xff", "\ufeff", "#", "sep=", "Total", "a", "1", '"\n', ",,,,", "\x1a", "\u2028",
    "29.02.2024", "1e400", "9" * 400, "'", "=cmd|' /C calc'!A0",
)  # fmt: skip


def _check(text: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="whohas-fuzz-") as folder:
        path = Path(folder) / "people.csv"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        mapping = path.with_suffix(".toml")
        try:
            mapping.write_text(measured(10_000 + len(text), propose, [path], None, mapping).text)
            read_mapping(mapping)
            load(Warehouse(Path(folder) / "warehouse"), [mapping], accept_loss=True)
        except WhohasError:
            return False
    return True


def checks() -> tuple[Check, ...]:
    """Return files."""
    return (fuzzed(_files(), _PIECES, _check, 5_000),)
