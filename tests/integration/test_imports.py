"""Imports: the layers are kept, and what starts often loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from openpyxl import load_workbook

from rendering import ABOUT, extract
from whohas.engine.statement import ResultColumn
from whohas.formats.base import WriteOptions
from whohas.formats.registry import find_format

ROOT = Path(__file__).parents[2]


HEAVY = {"duckdb", "pyarrow", "deltalake", "fastapi", "sqlalchemy", "pydantic", "numpy", "httpx2", "structlog"}


def test_the_layers_hold() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_command_line_starts_without_anything_heavy() -> None:
    code = "import sys, whohas.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded), HEAVY.intersection(loaded)


def test_a_child_loads_the_engine_and_nothing_else_heavy() -> None:
    code = "import sys, whohas.execution.child; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.intersection(loaded) <= {"duckdb", "numpy"}


def test_the_fork_server_loads_only_what_children_need() -> None:
    code = "import sys; from whohas.execution import child; child.preload(); print({'pydantic', 'sqlalchemy', 'pandas'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_the_format_loads_nothing_heavy_before_it_writes() -> None:
    code = "import sys, whohas.formats.html; print({'pyarrow', 'numpy', 'jinja2'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_a_format_loads_nothing_heavy_before_it_writes(tmp_path: Path) -> None:
    one = find_format("XLSX")
    assert (one.name, one.streams, one.copy) == ("xlsx", False, None) and one.write is not None
    one.write(
        extract(tmp_path, (ResultColumn("text", "text"),), ["x"]), path := tmp_path / "out.xlsx", ABOUT, WriteOptions()
    )
    assert [[*row] for row in load_workbook(path).worksheets[0].iter_rows(values_only=True)] == [["text"], ["x"]]
    code = "import sys, whohas.formats.xlsx; print({'pyarrow', 'numpy', 'isal'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_a_warehouse_on_the_local_disk_loads_no_object_store(acme_home: Path) -> None:
    code = (
        "import sys, whohas.services; from pathlib import Path; from whohas.settings import Settings; "
        "from whohas.warehouse.catalog import read_catalog; from whohas.warehouse.opening import open_warehouse; "
        "read_catalog(open_warehouse(Settings(home=Path(sys.argv[1]))).snapshot()); "
        "print({'obstore'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code, acme_home], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_tokens_cost_nothing_to_import() -> None:
    code = "import sys, whohas.search.analyzer; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"pyarrow", "numpy", "whohas.search.characters"}.isdisjoint(loaded)
