"""A report of two parts: one zip with a CSV file each, through every door. Such a report is one file, as any is."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import support
from factories import publish
from support import Server, result_when_over, serving, whohas
from whohas.engine.statement import ResultColumn, Statement, TableFiles
from whohas.reports.base import Plan, ReportPart
from whohas.runs.plans import resolve_at_snapshot
from whohas.settings import load_settings
from whohas.warehouse.store import Warehouse
from whohas_client import Client

FILE = """
from whohas.engine.statement import ResultColumn, Statement
from whohas.reports.base import Plan, Report, ReportPart, ReportRequest
from whohas.warehouse.catalog import Catalog

COLUMNS = (ResultColumn("name", "text"), ResultColumn("sourceId", "text"))


def part(source: str, cell: str = "name") -> ReportPart:
    sql = f"SELECT {{cell}}, sourceId FROM accounts WHERE sourceId = $source ORDER BY name"
    tables = {{"accounts": frozenset({{source}})}}
    return ReportPart(f"accounts {{source}}", Statement(sql, COLUMNS, {{"source": source}}, tables, ordered=True))


def plan(request: ReportRequest, catalogue: Catalog) -> Plan:
    sql = "SELECT 'line ' || n, note FROM notes ORDER BY n"
    notes = Statement(sql, COLUMNS, files={{"notes": ({notes!r},)}}, ordered=True, expected_rows=3)
    if request.flag_argument("fails"):
        return Plan({{"fails": True}}, parts=(part("ad"), part("crm", "error('The second part fails: ' || name)")))
    return Plan({{}}, parts=(part("ad"), part("crm"), ReportPart("notes", notes)))


REPORT = Report("OUR_PARTS", "Our Parts", "Parts.", {{"fails": "Whether it is to fail."}}, COLUMNS, plan)
"""
COMMAND = "import whohas.reports as r; r.__path__.append({folder!r}); from whohas.cli import main; main()"

SOURCES = [{"id": id, "name": id.upper(), "accountAttributes": []} for id in ("ad", "crm", "hr")]
ACCOUNTS = [
    {"id": f"{source}{n}", "nativeIdentity": name, "name": name, "sourceId": source, "correlated": False}
    for source in ("ad", "crm", "hr")
    for n, name in enumerate(("ann", "Zoë, B."))
]
FILES = {
    "accounts ad.csv": 'name,sourceId\n"Zoë, B.",ad\nann,ad\n',
    "accounts crm.csv": 'name,sourceId\n"Zoë, B.",crm\nann,crm\n',
    "notes.csv": "name,sourceId\nline 1,one\nline 2,two\nline 3,three\n",
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has the report; commands have it too."""
    folder = tmp_path_factory.mktemp("ours")
    pq.write_table(pa.table({"n": [1, 2, 3], "note": ["one", "two", "three"]}), folder / "notes.parquet")
    reports = folder / "reports"
    reports.mkdir()
    (reports / "our_parts.py").write_text(FILE.format(notes=str(folder / "notes.parquet")))
    home = folder / "home"
    home.mkdir()
    publish(Warehouse(load_settings(home=home).warehouse_address.path), SOURCES, ACCOUNTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(support, "WHOHAS", ("-c", COMMAND.format(folder=str(reports))))
        with serving(home) as server:
            yield server


def contents(file: Path | BytesIO) -> dict[str, str]:
    with zipfile.ZipFile(file) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name).decode() for name in opened.namelist()}


def test_a_zipped_report_is_asked_for_as_csv(ours: Server) -> None:
    before = time.time()
    with ours.http() as http:
        run = http.post("/v2025/reports/run", json={"reportType": "OUR_PARTS"}).raise_for_status().json()
        result = result_when_over(http, run["id"])
        answer = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"})
        named = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv", "name": "mine.zip"})
        part = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"}, headers={"Range": "bytes=0-3"})
    assert (result["status"], result["rows"], result["availableFormats"]) == ("SUCCESS", 7, ["CSV"])
    assert answer.headers["Content-Type"] == "application/zip"
    assert 'filename="Our Parts.zip"' in answer.headers["Content-Disposition"]
    assert 'filename="mine.zip"' in named.headers["Content-Disposition"]
    assert (part.status_code, part.content) == (206, b"PK\3\4")
    assert contents(BytesIO(answer.content)) == FILES
    when = zipfile.ZipFile(BytesIO(answer.content)).infolist()[0].date_time
    assert when[:3] in (time.gmtime(before)[:3], time.gmtime()[:3])
    assert [path.name for path in (ours.home / "artefacts" / run["id"]).iterdir()] == ["1-our_parts.csv.zip"]


def test_a_part_that_fails_fails_the_run_and_leaves_nothing(ours: Server) -> None:
    with ours.http() as http:
        body = {"reportType": "OUR_PARTS", "arguments": {"fails": True}}
        run = http.post("/v2025/reports/run", json=body).raise_for_status().json()
        assert result_when_over(http, run["id"])["status"] == "FAILURE"
        answer = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"})
    assert answer.status_code == 404
    assert "The second part fails: " in answer.json()["messages"][0]["text"]
    assert not (ours.home / "artefacts" / run["id"]).exists()


def test_the_client_saves_it_as_a_zip(ours: Server, tmp_path: Path) -> None:
    with Client.from_env(ours.sail) as client:
        run_id = client.start("OUR_PARTS").id
        assert run_id and client.wait(run_id).status == "SUCCESS"
        saved = client.download(run_id, "csv", tmp_path)
    assert saved == tmp_path / "Our Parts.zip"
    assert contents(saved) == FILES


@pytest.mark.parametrize("there", [True, False])
def test_the_command_line_saves_it_as_a_zip(ours: Server, tmp_path: Path, there: bool) -> None:
    done = whohas(ours.home, "run", "OUR_PARTS", cwd=tmp_path, **(ours.sail if there else {}))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Our Parts.zip: 7 rows")
    assert contents(tmp_path / "Our Parts.zip") == FILES
    for output, saved in (("folder", "folder/Our Parts.zip"), ("named.zip", "named.zip")):
        (tmp_path / "folder").mkdir(exist_ok=True)
        assert whohas(ours.home, "run", "OUR_PARTS", "-o", output, cwd=tmp_path).returncode == 0
        assert contents(tmp_path / saved) == FILES


COLUMNS = (ResultColumn("n", "integer"),)
ONE, TWO = Statement("SELECT 1", COLUMNS), Statement("SELECT 2", COLUMNS)


def test_the_sql_of_a_plan_names_several_parts() -> None:
    assert Plan({}, ONE).sql == Plan({}, parts=(ReportPart("one", ONE),)).sql == "SELECT 1"
    assert (
        Plan({}, parts=(ReportPart("one", ONE), ReportPart("two", TWO))).sql == "-- one\nSELECT 1;\n\n-- two\nSELECT 2;"
    )


def test_a_plan_has_one_statement_or_named_parts() -> None:
    for wrong in (lambda: Plan({}), lambda: Plan({}, ONE, parts=(ReportPart("one", ONE),))):
        with pytest.raises(ValueError, match="one statement, or parts"):
            wrong()
    with pytest.raises(ValueError, match="a name of its own"):
        Plan({}, parts=(ReportPart("one", ONE), ReportPart("one", TWO)))


def test_a_table_of_two_parts_has_the_files_of_both(tmp_path: Path) -> None:
    snapshot = publish(Warehouse(tmp_path), SOURCES, ACCOUNTS)

    def files(*partitions: frozenset[str] | None) -> tuple[TableFiles, ...]:
        statements = [Statement("", (), tables={"accounts": partition}) for partition in partitions]
        return resolve_at_snapshot(statements, snapshot)[1]

    (both,) = files(frozenset({"ad"}), frozenset({"ad", "crm"}))
    assert len(both.files) == len(set(both.files)) == 2
    (all_of_them,) = files(frozenset({"ad"}), None)
    assert sorted(all_of_them.files) == sorted(files(None)[0].files) and len(all_of_them.files) == 3
