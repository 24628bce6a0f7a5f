"""The plan of a run: made once, when the run is started, kept with it, and carried out as it was kept.

A plan is plain data, so that another version of whohas carries out the very statements that the record shows. It names
files by their place in the warehouse, which may be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from whohas import __version__, reports
from whohas.engine.sql import with_columns, with_values
from whohas.engine.statement import Column, Layout, Statement, TableFiles
from whohas.render.definition import Options
from whohas.reports.definition import Part
from whohas.runs.work import Part as WorkPart
from whohas.search.index import index_versions
from whohas.warehouse.catalogue import catalogue
from whohas.warehouse.evolved import duckdb_type, lacking
from whohas.warehouse.shredded import column_of, layouts
from whohas.warehouse.store import Snapshot
from whohas.warehouse.tables import TABLES, Table


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run does.

    Attributes:
        parts: its statements, each with the name of its file in a zip; one without a name where there is no zip. Their
            `tables` and `files` are empty: the plan has them, as found at the snapshot.
        files: table name to its Parquet files that any statement reads, in their order, relative to the warehouse.
        views: name of a view of the search index to its files, likewise.
        options: how its files are written.
        planner: the version of whohas that made the plan.
        analyser: the version of the analyser whose words its search index has; None where it reads none.
        late: whether it was made when the run was carried out, because an earlier version had queued it without one.
    """

    parts: tuple[Part, ...]
    files: Mapping[str, tuple[str, ...]]
    views: Mapping[str, tuple[str, ...]]
    options: Options
    planner: str = __version__
    analyser: int | None = None
    late: bool = False

    @staticmethod
    def of(plan: reports.Plan, snapshot: Snapshot, options: Options) -> RunPlan:
        """Return the plan of a run that carries out a report's plan over a snapshot."""
        parts = plan.parts or (Part("", plan.statements[0]),)
        files, views = _read(plan.statements, snapshot)
        root = snapshot.root
        return RunPlan(
            tuple(Part(part.name, replace(part.statement, tables={}, files={})) for part in parts),
            {name: tuple(_relative(path, root) for path in paths) for name, paths in files.items()},
            {name: tuple(_relative(path, root) for path in paths) for name, paths in views.items()},
            options,
            analyser=versions.analyser if views and (versions := index_versions(snapshot)) else None,
        )

    @property
    def zipped(self) -> bool:
        """Whether each file of the run is a zip with a file a part."""
        return bool(self.parts[0].name)

    @property
    def sql(self) -> str:
        """Its SQL as it is recorded, with parameters; of several statements each under the name of its part."""
        return joined([(part.name, part.statement.sql) for part in self.parts])

    @property
    def printed(self) -> str:
        """Its SQL with every parameter's value put in, so that it runs as it is printed."""
        return joined([(part.name, with_values(part.statement.sql, part.statement.parameters)) for part in self.parts])

    def parts_for(
        self, root: Path, extract: Callable[[int], str]
    ) -> tuple[tuple[WorkPart, ...], tuple[TableFiles, ...]]:
        """Return the parts of a child's work, and the tables that they read.

        Args:
            root: the warehouse.
            extract: where the rows of a part go on their way, by its number; empty where they go straight.
        """
        files = {name: [root / path for path in paths] for name, paths in self.files.items()}
        views = {name: [root / path for path in paths] for name, paths in self.views.items()}
        statements, tables = opened([part.statement for part in self.parts], files, views)
        named = enumerate(zip(self.parts, statements, strict=True))
        return tuple(_work_part(part.name, statement, extract(number)) for number, (part, statement) in named), tables

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object."""
        return {
            "planner": self.planner,
            "analyser": self.analyser,
            "late": self.late,
            "parts": [
                {"name": part.name, **{name: getattr(part.statement, name) for name in _KEPT}, "columns": columns}
                for part in self.parts
                for columns in [[asdict(column) for column in part.statement.columns]]
            ],
            "files": {name: list(paths) for name, paths in self.files.items()},
            "views": {name: list(paths) for name, paths in self.views.items()},
            "options": asdict(self.options),
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> RunPlan:
        """Return the plan that `to_json` wrote."""
        return RunPlan(
            tuple(
                Part(
                    part["name"],
                    Statement(
                        columns=tuple(Column(**column) for column in part["columns"]),
                        **{name: part[name] for name in _KEPT},
                    ),
                )
                for part in document["parts"]
            ),
            {name: tuple(paths) for name, paths in document["files"].items()},
            {name: tuple(paths) for name, paths in document["views"].items()},
            Options(**document["options"]),
            document["planner"],
            document["analyser"],
            document["late"],
        )


_KEPT = ("sql", "parameters", "attributes", "ordered", "expected_rows", "group")
"""The fields of a statement that a plan keeps as they are."""


@dataclass(frozen=True, slots=True)
class PartDigest:
    """The rows of one part, in short.

    Attributes:
        name: the part's; empty where there is one.
        rows: how many.
        sum: of the engine's hashes of the rows, a decimal number; it does not depend on their order.
    """

    name: str
    rows: int
    sum: str


@dataclass(frozen=True, slots=True)
class Digest:
    """The rows of a run, in short: equal where the rows are equal, as far as one engine's hash can tell.

    It is a check, no proof: the hash is made for speed and not against forgery.

    Attributes:
        engine: what hashed, with its version: another version may hash otherwise.
    """

    engine: str
    parts: tuple[PartDigest, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Digest:
        return Digest(document["engine"], tuple(PartDigest(**part) for part in document["parts"]))


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of how a run's rows were found.

    Attributes:
        plan: None for a run of before plans were kept.
        digest: of its rows; None where none was kept, or where it is not over.
        statement: the SQL that a run of before plans was recorded with; empty otherwise.
    """

    plan: RunPlan | None = None
    digest: Digest | None = None
    statement: str = ""

    @property
    def sql(self) -> str:
        """The SQL as recorded, with parameters where it has any."""
        return self.plan.sql if self.plan else self.statement

    @property
    def printed(self) -> str:
        """The SQL without parameters; of a run of before plans as it was recorded."""
        return self.plan.printed if self.plan else self.statement


def joined(statements: Sequence[tuple[str, str]]) -> str:
    """Return several statements as one text, each under its name; one alone as it is."""
    if len(statements) == 1:
        return statements[0][1]
    return "\n\n".join(f"-- {name}\n{sql};" for name, sql in statements)


Files = Mapping[str, Sequence[Path]]


def located(
    statements: Sequence[Statement], snapshot: Snapshot
) -> tuple[tuple[Statement, ...], tuple[TableFiles, ...]]:
    """Return statements as an engine runs them over a snapshot, and the tables that they read; see `opened`."""
    return opened(statements, *_read(statements, snapshot))


def _read(statements: Sequence[Statement], snapshot: Snapshot) -> tuple[Files, Files]:
    """The files of the tables that statements read, of the partitions that matter to any of them; and of the views."""
    partitions: dict[str, frozenset[str] | None] = {}
    views: dict[str, list[Path]] = {}
    for statement in statements:
        for name, own in statement.tables.items():
            known = partitions.get(name, frozenset())
            partitions[name] = None if own is None or known is None else own | known
        for name, files in statement.files.items():
            views[name] = list(dict.fromkeys((*views.get(name, ()), *map(Path, files))))
    known_files = catalogue(snapshot)
    files = {name: [file.path for file in known_files.files(name, own)] for name, own in partitions.items()}
    return files, views


def opened(
    statements: Sequence[Statement], files: Files, views: Files
) -> tuple[tuple[Statement, ...], tuple[TableFiles, ...]]:
    """Return statements as an engine runs them over files, and the tables as it finds them, each once.

    Attributes that files have as columns are read from these. How the files hold an attribute decides whether a column
    of texts is `single`.
    """
    attributes: dict[str, tuple[str, ...]] = {}
    for statement in statements:
        for name, asked in statement.attributes.items():
            attributes[name] = tuple(dict.fromkeys((*attributes.get(name, ()), *asked)))
    tables: list[TableFiles] = []
    single: dict[str, frozenset[str]] = {}
    for name, paths in files.items():
        asked = attributes.get(name, ())
        found, single[name] = layouts(paths, asked)
        columns = [(field.name, duckdb_type(field.type)) for field in TABLES[name].schema]
        more = [] if found else [(column_of(attribute), "VARCHAR") for attribute in asked]
        tables.append(TableFiles(name, (*columns, *more), _with_lacks(found, TABLES[name])))
    tables += (TableFiles(name, (), (Layout(tuple(map(str, paths))),)) for name, paths in views.items())
    return tuple(_with_columns(statement, single) for statement in statements), tuple(tables)


def _with_lacks(found: Sequence[Layout], table: Table) -> tuple[Layout, ...]:
    """The same layouts, with the columns that files of earlier versions lack."""
    return tuple(
        Layout(tuple(files), layout.more, lacks)
        for layout in found
        for lacks, files in groupby(layout.files, key=lambda file: lacking(Path(file), table))
    )


def _with_columns(statement: Statement, single: Mapping[str, frozenset[str]]) -> Statement:
    """The statement with attributes read from columns, and with those columns `single` that always are."""
    attributes = {attribute for columns in statement.attributes.values() for attribute in columns}
    names = {
        column
        for table, columns in statement.attributes.items()
        for attribute, column in columns.items()
        if attribute in single[table]
    }
    return replace(
        statement,
        sql=with_columns(statement.sql, attributes, column_of),
        columns=tuple(replace(column, single=column.name in names) for column in statement.columns),
    )


def _work_part(name: str, statement: Statement, extract: str) -> WorkPart:
    return WorkPart(
        name=name,
        sql=statement.sql,
        parameters=statement.parameters,
        columns=statement.columns,
        ordered=statement.ordered,
        expected_rows=statement.expected_rows,
        group=statement.group,
        extract=extract,
    )


def _relative(path: Path, root: Path) -> str:
    """A path in the warehouse relative to it, so that it may be moved; another one as it is."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
