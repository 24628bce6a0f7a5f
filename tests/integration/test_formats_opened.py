"""Files of each format, opened by the programs that people open them with."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from htmlpage import read_page
from patience import PATIENCE_SECONDS
from rendering import ABOUT, extract, file_of
from whohas.engine.statement import ResultColumn
from whohas.execution.child import do_work
from whohas.execution.protocol import OutputFile, Work, WorkPart
from whohas.formats.base import WriteOptions

TIME = datetime(2026, 7, 1, 10, 0, 5, 123_000, UTC)
COLUMNS = (
    ResultColumn("text", "text"),
    ResultColumn("yes", "boolean"),
    ResultColumn("n", "integer"),
    ResultColumn("time", "time"),
    ResultColumn("texts", "texts"),
)
TEXTS = ["=1+1", "007", " x ", 'say "hi", all', "a\nb", "é北😀", "it's; so"]
ROWS = [(text, True, (1 << 63) - 1, TIME, [text, "b"]) for text in TEXTS] + [(None, None, None, None, None)]


@pytest.mark.engine
@pytest.mark.parametrize("separator", [",", ";"])
def test_libreoffice_reads_a_csv(tmp_path: Path, separator: str) -> None:
    if shutil.which("soffice") is None:
        pytest.skip("LibreOffice is not there")
    path = file_of(extract(tmp_path, COLUMNS, *ROWS), "csv", WriteOptions(separator=separator, bom=True))
    # text columns, as the import dialog offers them: no cell is guessed to be a number or a date
    columns = "/".join(f"{n}/2" for n in range(1, len(COLUMNS) + 1))
    command = [
        "soffice", f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless",
        f"--infilter=Text - txt - csv (StarCalc):{ord(separator)},34,76,1,{columns}",
        "--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1", "--outdir", tmp_path / "read", path,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (tmp_path / "read" / "out.csv").exists(), done.stdout + done.stderr
    with (tmp_path / "read" / "out.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == [column.name for column in COLUMNS]
    told = [[text, "true", str((1 << 63) - 1), "2026-07-01T10:00:05.123Z", f"{text};b"] for text in TEXTS]
    assert [row for row in rows if any(row)] == told


SPARK = """
import json, sys
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.session.timeZone", "UTC").getOrCreate())
frame = spark.read.parquet(sys.argv[1])
print(json.dumps({"types": frame.dtypes, "rows": [[str(row.time) if c == "time" and row.time else row[c]
    for c in frame.columns] for row in frame.collect()]}))
"""


@pytest.mark.engine
def test_spark_reads_a_parquet(tmp_path: Path) -> None:
    from clients.sdk import python_sdk

    if shutil.which("java") is None:
        pytest.skip("Spark needs a Java 17")
    python = python_sdk("pyspark", "4.3.0")
    path = file_of(extract(tmp_path, COLUMNS, *ROWS), "parquet")
    done = subprocess.run(
        [python, "-c", SPARK, path], capture_output=True, text=True, timeout=PATIENCE_SECONDS, cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TZ": "UTC"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert [type for _, type in found["types"]] == ["string", "boolean", "bigint", "timestamp", "array<string>"]
    assert found["rows"] == [
        [text, yes, n, time and f"{time:%Y-%m-%d %H:%M:%S.%f}", texts] for text, yes, n, time, texts in ROWS
    ]


def test_a_parquet_says_what_it_is_of(tmp_path: Path) -> None:
    metadata = pq.read_metadata(file_of(extract(tmp_path, COLUMNS, *ROWS), "parquet"))
    facts = {key.decode(): value.decode() for key, value in metadata.metadata.items()}
    assert (facts["whohas.run"], facts["whohas.report"]) == (ABOUT.run, "ACCOUNTS")
    assert json.loads(facts["whohas.arguments"]) == ABOUT.arguments
    assert int(facts["whohas.snapshot"]) == ABOUT.snapshot
    assert metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.long
def test_more_rows_than_a_sheet_has_go_on_on_another(tmp_path: Path) -> None:
    import pyarrow as pa

    from rendering import Extract, RowsQuery
    from whohas.formats.xlsx.writer import write

    count = 1_048_576 + 10
    pq.write_table(pa.table({"n": pa.array(range(count))}), tmp_path / "rows.parquet")
    rows = Extract(tmp_path / "rows.parquet", RowsQuery("", (ResultColumn("n", "integer"),)), count)
    (note,) = write(rows, path := tmp_path / "out.xlsx", ABOUT, WriteOptions())
    assert note.startswith("The rows are on 2 sheets")
    first, second, _ = load_workbook(path, read_only=True).worksheets
    numbers = [row[0] for sheet in (first, second) for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert numbers == list(range(count))
    assert second.calculate_dimension() == "A1:A12"


@pytest.mark.parametrize("format", ["csv", "csv.gz", "html", "json", "ndjson", "parquet", "xlsx"])
def test_a_zip_has_a_file_a_part_in_any_format(tmp_path: Path, format: str) -> None:
    columns = (ResultColumn("name", "text"), ResultColumn("n", "integer"))
    parts = tuple(
        WorkPart(name, f"SELECT '{name} ' || range, range FROM range({count})", {}, columns, True, count,
             extract=str(tmp_path / f"{name}.extract"))
        for name, count in (("Identities", 3), ("Roles", 0))
    )  # fmt: skip
    output = OutputFile(format, str(tmp_path / "out.zip"), zipped=True)
    said: list[dict[str, object]] = []
    work = Work(parts, (), (output,), ABOUT, WriteOptions(), 256 << 20, 2, str(tmp_path / "spill"))
    do_work(work, lambda **facts: said.append(facts))
    made = [file for file in said[-1]["files"] if file["format"] == format]  # type: ignore[attr-defined]
    assert [file["rows"] for file in made] == [3] and said[-1]["notes"] == []
    with zipfile.ZipFile(tmp_path / "out.zip") as file:
        assert file.testzip() is None
        assert file.namelist() == [f"Identities.{format}", f"Roles.{format}"]
        for part, count in (("Identities", 3), ("Roles", 0)):
            file.extract(f"{part}.{format}", tmp_path)
            assert names_in(tmp_path / f"{part}.{format}", format) == [f"{part} {n}" for n in range(count)]
    assert not (tmp_path / "out.zip-entry").exists()


def names_in(path: Path, format: str) -> list[str]:
    match format:
        case "csv":
            return [row["name"] for row in csv.DictReader(path.read_text().splitlines())]
        case "csv.gz":
            return [row["name"] for row in csv.DictReader(gzip.decompress(path.read_bytes()).decode().splitlines())]
        case "json":
            return [row["name"] for row in json.loads(path.read_text())]
        case "ndjson":
            return [json.loads(line)["name"] for line in path.read_text().splitlines()]
        case "parquet":
            assert pq.read_metadata(path).metadata[b"whohas.run"].decode() == ABOUT.run
            return pq.read_table(path)["name"].to_pylist()
        case "xlsx":
            return [row[0] for row in load_workbook(path).worksheets[0].iter_rows(min_row=2, values_only=True)]
        case _:
            return [row[0] for row in read_page(path).rows]
