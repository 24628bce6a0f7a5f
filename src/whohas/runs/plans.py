"""The plan of a run: made once, when the run is started, stored with it as JSON, and executed as stored.

Because a plan is plain data, a later version of whohas executes exactly the statements that were stored. Files are
named relative to the warehouse's folder, so the warehouse can be moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from whohas import __version__, reports
from whohas.engine.remote import EngineName, RemoteTable, TranslatedStatement, engine_table_name
from whohas.engine.sql import attributes_as_columns, inline_parameters
from whohas.engine.statement import FileLayout, Statement, TableFiles, columns_from_json, columns_to_json
from whohas.engine.summary import EMPTY_SUMMARY, RowsSummary, SummaryDefinition
from whohas.formats.base import WriteOptions
from whohas.reports.base import ReportPart
from whohas.search.index import index_versions
from whohas.warehouse.attribute_columns import attribute_column_name, file_layouts
from whohas.warehouse.catalog import read_catalog
from whohas.warehouse.evolved import duckdb_type, missing_columns
from whohas.warehouse.schema import TABLES, Table
from whohas.warehouse.store import DataFile, Snapshot


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The plan of a run: statements, data files and output options.

    Attributes:
        parts: the statements, each with the name of its file in a zip; a single part with an empty name where there is
            no zip. The fields `tables` and `files` of the statements are empty: `files` and `views` replace them.
        files: for each table the Parquet files of the snapshot that any statement reads, in order, relative to the
            warehouse's folder.
        views: for each view of the search index its files, likewise.
        options: how the output files are written.
        planner: the version of whohas that made the plan.
        analyser: the version of the text analyser that made the search index; None where the run reads none.
        late: whether the plan was made when the run was executed, because an earlier version queued it without one.
        engine: the engine that executes the run.
        translated: for each part its statement in the SQL of that engine; empty for DuckDB.
        versions: the version of the Delta table of each name in `files`, for that engine; empty for DuckDB. A table
            without a version has no rows.
    """

    parts: tuple[ReportPart, ...]
    files: Mapping[str, tuple[str, ...]]
    views: Mapping[str, tuple[str, ...]]
    options: WriteOptions
    planner: str = __version__
    analyser: int | None = None
    late: bool = False
    engine: EngineName = "duckdb"
    translated: tuple[TranslatedStatement, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict[str, int])

    @staticmethod
    def of(plan: reports.Plan, snapshot: Snapshot, options: WriteOptions, engine: EngineName = "duckdb") -> RunPlan:
        """Return the plan of a run from a report's plan, with the data files of a snapshot.

        Args:
            options: how the output files are written.
            engine: the engine that executes the run.

        Raises:
            Untranslatable: a statement has something that is not translated for that engine.
        """
        parts = plan.parts or (ReportPart("", plan.statements[0]),)
        translated: tuple[TranslatedStatement, ...] = ()
        if engine != "duckdb":
            from whohas.engine.dialects import translate  # imports sqlglot: 9 MB that a server without it saves

            translated = tuple(translate(part.statement, engine) for part in parts)
        files, views = _read(plan.statements, snapshot)
        root = snapshot.root
        return RunPlan(
            tuple(ReportPart(part.name, replace(part.statement, tables={}, files={})) for part in parts),
            {name: tuple(_relative(file.location, root) for file in found) for name, found in files.items()},
            {name: tuple(_relative(path, root) for path in paths) for name, paths in views.items()},
            options,
            analyser=versions.analyser if views and (versions := index_versions(snapshot)) else None,
            engine=engine,
            translated=translated,
            versions={name: snapshot.versions[name] for name in files if name in snapshot.versions}
            if translated
            else {},
        )

    @property
    def zipped(self) -> bool:
        """Whether each output of the run is a zip with one file for each part."""
        return bool(self.parts[0].name)

    @property
    def sql(self) -> str:
        """The SQL with named parameters; of several statements each after a comment with the name of its part."""
        return join_statements([(part.name, part.statement.sql) for part in self.parts])

    @property
    def runnable_sql(self) -> str:
        """The SQL with the values of all parameters inserted as literals, so that it can be executed as printed."""
        return join_statements(
            [(part.name, inline_parameters(part.statement.sql, part.statement.parameters)) for part in self.parts]
        )

    def statements_at(self, root: Path) -> tuple[tuple[Statement, ...], tuple[TableFiles, ...]]:
        """Return the statement of each part, and the tables that they read, for a warehouse in the folder `root`."""
        files = {name: [root / path for path in paths] for name, paths in self.files.items()}
        views = {name: [root / path for path in paths] for name, paths in self.views.items()}
        return resolve_files([part.statement for part in self.parts], files, views)

    def remote_tables(self, number: int, root: Path | str, index: str = "") -> tuple[RemoteTable, ...]:
        """Return the tables that a part's translated statement reads.

        Args:
            number: the index of the part.
            root: the folder of the warehouse, or its address in an object store.
            index: the prefix of the search index below an address; empty for a folder, where the plan has it.
        """
        return tuple(self._remote_table(name, root, index) for name in self.translated[number].tables)

    def _remote_table(self, name: str, root: Path | str, index: str) -> RemoteTable:
        if name in self.views:
            paths = [f"{index}/{Path(path).name}" if index else path for path in self.views[name]]
            return RemoteTable(engine_table_name(name), "", None, (), tuple(f"{root}/{path}" for path in paths))
        return RemoteTable(
            engine_table_name(name),
            f"{root}/{name}",
            self.versions.get(name),
            tuple((column.name, duckdb_type(column.type)) for column in TABLES[name].schema),
            tuple(f"{root}/{path}" for path in self.files[name]),
            TABLES[name].partition or "",
        )

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object."""
        return {
            "planner": self.planner,
            "analyser": self.analyser,
            "late": self.late,
            "parts": [
                {
                    "name": part.name,
                    **{name: getattr(part.statement, name) for name in _KEPT},
                    "order": list(part.statement.order),
                    **columns_to_json(part.statement.columns),
                    "summary": part.statement.summary.to_json(),
                }
                for part in self.parts
            ],
            "files": {name: list(paths) for name, paths in self.files.items()},
            "views": {name: list(paths) for name, paths in self.views.items()},
            "engine": self.engine,
            "translated": [statement.to_json() for statement in self.translated],
            "versions": dict(self.versions),
            **self.options.to_json(),
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> RunPlan:
        """Return the plan that `to_json` wrote."""
        return RunPlan(
            tuple(
                ReportPart(
                    part["name"],
                    Statement(
                        columns=columns_from_json(part),
                        order=tuple(part.get("order", ())),
                        summary=SummaryDefinition.from_json(part["summary"]) if "summary" in part else EMPTY_SUMMARY,
                        scan_order=tuple(part.get("scan_order", ())),
                        **{name: part[name] for name in _KEPT if name != "scan_order"},
                    ),
                )
                for part in document["parts"]
            ),
            {name: tuple(paths) for name, paths in document["files"].items()},
            {name: tuple(paths) for name, paths in document["views"].items()},
            WriteOptions.from_json(document),
            document["planner"],
            document["analyser"],
            document["late"],
            # an earlier version stored none
            document.get("engine", "duckdb"),
            tuple(map(TranslatedStatement.from_json, document.get("translated", ()))),
            document.get("versions", {}),
        )


_KEPT = ("sql", "parameters", "attributes", "ordered", "scan_order", "expected_rows", "group")
"""The fields of a statement that are stored unchanged."""


@dataclass(frozen=True, slots=True)
class PartDigest:
    """The digest of the rows of one part.

    Attributes:
        name: the part's name; empty where there is no zip.
        rows: the number of rows.
        sum: the sum of the engine's 64-bit hashes of the rows, as a decimal number. It does not depend on their order.
    """

    name: str
    rows: int
    sum: str


@dataclass(frozen=True, slots=True)
class RowsDigest:
    """The digest of the rows of a run. Equal rows, in any order, have equal digests by the same version of an engine.

    It detects differences but proves nothing: the hash is fast and not cryptographic.

    Attributes:
        engine: the engine that computed the hashes, with its version, because another version may hash differently.
        parts: the digest of each part, in order.
    """

    engine: str
    parts: tuple[PartDigest, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the digest as a JSON object."""
        return asdict(self)

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> RowsDigest:
        """Return the digest that `to_json` wrote."""
        return RowsDigest(document["engine"], tuple(PartDigest(**part) for part in document["parts"]))


@dataclass(frozen=True, slots=True)
class RowsRecord:
    """The stored record of how a run's rows were computed.

    Attributes:
        plan: the plan; None for a run of an earlier version that stored none.
        digest: the digest of the rows; None while the run is not over, and where none was stored.
        statement: the SQL of a run that was stored without a plan; empty otherwise.
        summary: the summary of each part; None where none was computed yet.
        engine: the engine that executed the run, with its version, such as `Spark 4.2.0`; empty while the run is not
            over, and where an earlier version stored none.
    """

    plan: RunPlan | None = None
    digest: RowsDigest | None = None
    statement: str = ""
    summary: tuple[RowsSummary, ...] | None = None
    engine: str = ""

    @property
    def sql(self) -> str:
        """The SQL as stored, with named parameters."""
        return self.plan.sql if self.plan else self.statement

    @property
    def runnable_sql(self) -> str:
        """The SQL with the values of parameters inserted; of a run without a plan the SQL as stored."""
        return self.plan.runnable_sql if self.plan else self.statement


def join_statements(statements: Sequence[tuple[str, str]]) -> str:
    """Return the SQL of several statements as one text, each after a comment with its name; a single one unchanged.

    Args:
        statements: pairs of a name and SQL.
    """
    if len(statements) == 1:
        return statements[0][1]
    return "\n\n".join(f"-- {name}\n{sql};" for name, sql in statements)


FilesByTable = Mapping[str, Sequence[Path]]
"""Files by the name of a table or view."""


def resolve_at_snapshot(
    statements: Sequence[Statement], snapshot: Snapshot
) -> tuple[tuple[Statement, ...], tuple[TableFiles, ...]]:
    """Return statements in the form that the engine executes on a snapshot, and the tables that they read; see
    `resolve_files`. Files in an object store are downloaded first."""
    files, views = _read(statements, snapshot)
    return resolve_files(statements, {name: [file.path for file in found] for name, found in files.items()}, views)


def _read(statements: Sequence[Statement], snapshot: Snapshot) -> tuple[Mapping[str, Sequence[DataFile]], FilesByTable]:
    """Return the data files that any of the statements reads: of the tables, restricted to the partitions that some
    statement needs, and of the views of the search index."""
    partitions: dict[str, frozenset[str] | None] = {}
    views: dict[str, list[Path]] = {}
    for statement in statements:
        for name, needed in statement.tables.items():  # None: all partitions
            known = partitions.get(name, frozenset())
            partitions[name] = None if needed is None or known is None else needed | known
        for name, files in statement.files.items():
            views[name] = list(dict.fromkeys((*views.get(name, ()), *map(Path, files))))
    known_files = read_catalog(snapshot)
    return {name: known_files.files(name, needed) for name, needed in partitions.items()}, views


def resolve_files(
    statements: Sequence[Statement], files: FilesByTable, views: FilesByTable
) -> tuple[tuple[Statement, ...], tuple[TableFiles, ...]]:
    """Return statements in the form that the engine executes on given files, and each table that they read, once.

    Some data files have an account's attributes not only as a map but also as separate columns ("shredded", see
    `warehouse.attribute_columns`), which are faster to read. Lookups of such attributes are rewritten to read the
    columns.

    Example: `a.attributes['city']` becomes a reference to the column `column_of("city")`. Each `TableFiles` says for
        every
    group of files whether it has this column, and by which SQL the engine computes it where not. If the files always
    hold one value of the attribute, the result column is marked as `single`.

    Args:
        files: the data files of each table.
        views: the files of each view of the search index.
    """
    attributes: dict[str, tuple[str, ...]] = {}
    for statement in statements:
        for name, wanted in statement.attributes.items():
            attributes[name] = tuple(dict.fromkeys((*attributes.get(name, ()), *wanted)))
    tables: list[TableFiles] = []
    single: dict[str, frozenset[str]] = {}
    for name, paths in files.items():
        wanted = attributes.get(name, ())
        table_layouts, single[name] = file_layouts(paths, wanted)
        columns = [(field.name, duckdb_type(field.type)) for field in TABLES[name].schema]
        # without any file the columns must be declared, so that the rewritten statement still has them
        more = [] if table_layouts else [(attribute_column_name(attribute), "VARCHAR") for attribute in wanted]
        tables.append(TableFiles(name, (*columns, *more), _with_lacks(table_layouts, TABLES[name])))
    tables += (TableFiles(name, (), (FileLayout(tuple(map(str, paths))),)) for name, paths in views.items())
    return tuple(_with_columns(statement, single) for statement in statements), tuple(tables)


def _with_lacks(table_layouts: Sequence[FileLayout], table: Table) -> tuple[FileLayout, ...]:
    """Return the layouts with the columns that files of earlier versions lack, split so that the files of each layout
    lack the same columns."""
    return tuple(
        FileLayout(tuple(files), layout.computed_columns, lacks)
        for layout in table_layouts
        for lacks, files in groupby(layout.files, key=lambda file: missing_columns(Path(file), table))
    )


def _with_columns(statement: Statement, single: Mapping[str, frozenset[str]]) -> Statement:
    """Return a statement that reads attributes from columns, with its result columns marked as `single` where they are.

    Args:
        single: for each table the attributes that never have more than one value.
    """
    attributes = {attribute for columns in statement.attributes.values() for attribute in columns}
    names = {
        column
        for table, columns in statement.attributes.items()
        for attribute, column in columns.items()
        if attribute in single[table]
    }
    return replace(
        statement,
        sql=attributes_as_columns(statement.sql, attributes, attribute_column_name),
        columns=tuple(replace(column, single=column.name in names) for column in statement.columns),
    )


def _relative(path: Path, root: Path) -> str:
    """Return a path inside the warehouse relative to its folder; any other path unchanged."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
