"""The reading half of a load: every input file, in the order that correlation needs, into stages."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.warehouse.intake.batches import Batch, Fault, ahead
from whohas.warehouse.intake.correlate import IdentityIndex, correlated, stored_rule
from whohas.warehouse.intake.csv_files import Dialect
from whohas.warehouse.intake.discover import Input, Inputs
from whohas.warehouse.intake.documents import DocumentRows
from whohas.warehouse.intake.duplicates import duplicates
from whohas.warehouse.intake.mapping import ACCOUNT, ENTITLEMENT, Correlation, Part, SourceMapping
from whohas.warehouse.intake.opened import OpenedFile, open_file, open_mapped
from whohas.warehouse.intake.rejects import Rejects
from whohas.warehouse.intake.report import FileCount, Progress
from whohas.warehouse.intake.revision import revise
from whohas.warehouse.intake.shaped import Shaped
from whohas.warehouse.intake.sources import Sources
from whohas.warehouse.intake.staging import Stage, Writer, origin_of, origins
from whohas.warehouse.intake.text_rows import Layout, TextRows, mapped_layout, own_layout
from whohas.warehouse.store import Load
from whohas.warehouse.tables import (
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    ENTITLEMENTS,
    IDENTITIES,
    SOURCES,
    Table,
)

Keep = Callable[[Batch, int], list[Fault]]
"""What is done with a batch of the file of that number; gives the rows that are rejected."""

Shape = Callable[[Batch], tuple[list[Shaped], list[Fault]]]

_ORDER = ("sources", "identity_profiles", "identities")
"""Tables whose files are read before all others."""


class Reading:
    """What a load has read: stages by table, sources, counts. Its files are read by `read`."""

    def __init__(
        self, connection: Any, load: Load, inputs: Inputs, rejects: Rejects, on_progress: Callable[[Progress], None]
    ) -> None:
        self.connection = connection
        self.load = load
        self.inputs = inputs
        self.rejects = rejects
        self.sources = Sources(load.base)
        self.stages: dict[str, Stage] = {}
        self.nested: dict[str, Stage] = {}
        self.memberships: list[tuple[SourceMapping, Stage]] = []
        self.warnings: list[str] = [f"{path} was passed over: it is no data." for path in inputs.passed_over]
        self.warnings += [note for mapping in inputs.mappings for note in mapping.notes]
        self.unknown: dict[str, tuple[str, ...]] = {}
        self.rules: dict[str, Correlation] = {}
        self.late: set[str] = set()
        self.given_ids = False
        self.rows = 0
        self._files: list[tuple[int, Path, Table, int]] = []
        self._writer = Writer()
        self._done = 0
        self._told = 0.0
        self._on_progress = on_progress
        self._holds: dict[int, Table] = {}
        self._readers: dict[int, tuple[Callable[[], Iterator[Batch]], Callable[[list[str]], str]]] = {}
        self._indexes: dict[tuple[str, bool], IdentityIndex] = {}

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    @property
    def brought(self) -> set[str]:
        """The ids of the sources whose rows the load replaces."""
        named = ("accounts", "entitlements", "account_entitlements", "identities")
        return {id for name in named if name in self.stages for id in self.stages[name].touched if id}

    def read(self) -> None:
        """Reads all files into stages."""
        before = [file for file in self.inputs.files if file.table.name in _ORDER]
        for file in sorted(before, key=lambda file: _ORDER.index(file.table.name)):
            self._own(file)
        self._announce_mappings()
        mapped = [mapping for mapping in self.inputs.mappings if mapping.accounts is not None]
        for mapping in sorted(mapped, key=lambda mapping: mapping.authoritative is not True):
            if mapping.authoritative:
                self._accounts(mapping)
        self.finish(IDENTITIES)
        for file in self.inputs.files:
            if file.table.name not in _ORDER:
                self._own(file)
        for mapping in mapped:
            if not mapping.authoritative:
                self._accounts(mapping)
        for mapping in self.inputs.mappings:
            if mapping.entitlements is not None:
                self._part(mapping, mapping.entitlements, "entitlements", ENTITLEMENTS)
        for mapping in self.inputs.mappings:
            if mapping.memberships is not None:
                self._part(mapping, mapping.memberships, "memberships", ACCOUNT_ENTITLEMENTS)

    def stage(self, table: Table) -> Stage:
        """The stage of a table, made when it is first needed."""
        if table.name not in self.stages:
            self.stages[table.name] = Stage(table, lambda: self.load.new_file(table), self.load.scratch, self._writer)
        return self.stages[table.name]

    def aside(self, table: Table, name: str) -> Stage:
        """A stage whose files are not published as they are."""
        folder = self.load.scratch / name
        folder.mkdir(exist_ok=True)
        numbers = iter(range(1_000_000))
        return Stage(table, lambda: folder / f"{next(numbers)}.parquet", folder, self._writer)

    def finish(self, table: Table) -> None:
        """Completes the stage of a table; rows whose id came before are rejected."""
        stage = self.stages.get(table.name)
        if stage is None:
            return
        stage.finish(self.connection)
        self.drop_duplicates(stage, "id", "id")

    def drop_duplicates(self, stage: Stage, key: str, column: str, silent: bool = False) -> None:
        """Leaves out staged rows whose key an earlier one has."""
        found = duplicates(self.connection, stage.files, key)
        again: dict[int, list[int]] = {}
        for place, rows in found.items():
            if not silent:
                for number in stage.files[place].read_origins()[rows].tolist():
                    file, record = origin_of(number)
                    # an identity that an account made is told of as that account
                    if not (stage.table is IDENTITIES and self._holds[file] is ACCOUNTS):
                        again.setdefault(file, []).append(record)
            revise(stage.files[place], stage.table, rows)
        for file, records in sorted(again.items()):
            for record, text in self._again(file, records):
                self.rejects.add(file, record, column, f"an earlier row has the same {column}", text)

    def _again(self, file: int, records: list[int]) -> Iterator[tuple[int, str]]:
        """Some records of a file as they stand in it, read once more."""
        wanted = np.array(sorted(records), dtype=np.int64)
        batches, text_of = self._readers[file]
        for batch in batches():
            for place in np.flatnonzero(np.isin(batch.records, wanted)).tolist():
                cells = [column[place].as_py() for column in batch.data.columns]
                yield int(batch.records[place]), text_of(cells)

    def identity_files(self) -> list[Path]:
        """The files of all identities as they will be; the stage of identities has to be finished."""
        stage = self.stages.get(IDENTITIES.name)
        touched = stage.touched if stage else set[str]()
        kept = [file.path for file in self.load.base.files(IDENTITIES) if (file.partition or "") not in touched]
        return kept + ([file.path for file in stage.files if file.rows] if stage else [])

    def index(self, rule: Correlation) -> IdentityIndex:
        """The identities by what a rule compares."""
        key = (rule.identity, rule.ignore_case)
        if key not in self._indexes:
            self._indexes[key] = IdentityIndex(
                self.connection, self.identity_files(), rule.identity, rule.ignore_case, self.load.scratch
            )
        return self._indexes[key]

    def indexes(self) -> list[tuple[tuple[str, bool], IdentityIndex]]:
        """The indexes that were asked, with what they compare."""
        return list(self._indexes.items())

    def counts(self) -> tuple[FileCount, ...]:
        """What became of each file's records."""
        return tuple(
            FileCount(path.name, table.name, read, self.rejects.counts[number])
            for number, path, table, read in self._files
        )

    def _announce_mappings(self) -> None:
        for mapping in self.inputs.mappings:
            rule = stored_rule(mapping)
            described = {"type": mapping.type, "description": mapping.description}
            if mapping.name is not None:
                id = self.sources.resolve(mapping.id, mapping.name)
                self._describe(id, bool(mapping.authoritative), rule, described, mapping)
            elif isinstance(mapping.authoritative, frozenset):
                for name in sorted(mapping.authoritative):
                    self.sources.resolve(None, name)

    def _describe(
        self,
        id: str,
        authoritative: bool,
        rule: Correlation | None,
        described: dict[str, str | None],
        mapping: SourceMapping,
    ) -> None:
        self.sources.update(id, authoritative=authoritative, **described)
        if mapping.accounts is not None:
            self.sources.rows[id]["correlation"] = None if authoritative or rule is None else rule.to_json()
            if rule is not None and not authoritative:
                self.rules[id] = rule

    def _own(self, file: Input) -> None:
        opened = open_file(file.path, file.format, file.table, Dialect(), self.connection)
        if not opened.header:
            self.given_ids = True
            shape = DocumentRows(self.connection, file.table, self.sources)
            self._run(opened, file.table, self._keeper(file.table, shape, fan=True))
            return
        layout = own_layout(file.path, file.table, opened.header, opened.lists)
        self.given_ids |= file.table is ACCOUNTS and "id" in layout.columns
        if layout.unknown:
            self.unknown[file.path.name] = layout.unknown
        shape = TextRows(self.connection, file.table, opened, layout, self.sources)
        self._run(opened, file.table, self._keeper(file.table, shape), layout)

    def _accounts(self, mapping: SourceMapping) -> None:
        assert mapping.accounts is not None
        rule = stored_rule(mapping)
        index = self.index(rule) if rule is not None and not mapping.authoritative else None
        self.given_ids |= "id" in mapping.accounts.columns
        self._part(mapping, mapping.accounts, "accounts", ACCOUNTS, rule, index)

    def _part(
        self,
        mapping: SourceMapping,
        part: Part,
        section: str,
        table: Table,
        rule: Correlation | None = None,
        index: IdentityIndex | None = None,
    ) -> None:
        opened = open_mapped(part.file, table, mapping.dialect, self.connection)
        layout = mapped_layout(mapping, part, section, opened.header, opened.lists)
        members = section == "memberships"
        if members:
            ids = {ACCOUNT: "accountId", ENTITLEMENT: "entitlementId"}
            columns = {ids.get(ours, ours): theirs for ours, theirs in layout.columns.items()}
            layout = Layout(columns, empty=layout.empty)
        source = None if mapping.name is None else self.sources.resolve(mapping.id, mapping.name)
        authoritative = mapping.authoritative if section == "accounts" else False
        if isinstance(authoritative, frozenset):
            authoritative = frozenset(self.sources.resolve(None, name) for name in authoritative)
        shape = TextRows(
            self.connection,
            table,
            opened,
            layout,
            self.sources,
            source,
            authoritative,
            mapping.identities if section == "accounts" else None,
            members,
        )
        before = set[str]()
        if members:
            aside = self.aside(ACCOUNT_ENTITLEMENTS, f"memberships-{len(self.memberships)}")
            self.memberships.append((mapping, aside))
            target = self.stage(ACCOUNT_ENTITLEMENTS)

            def keep(batch: Batch, number: int) -> list[Fault]:
                found, bad = shape(batch)
                for item in found:
                    aside.add(item.data, origins(number, item.records))
                return bad

            self._run(opened, table, keep, layout)
            aside.finish(self.connection)
            target.touched |= aside.touched
        else:
            target = self.stage(table)
            before = set(target.touched)
            self._run(opened, table, self._keeper(table, shape, rule, index), layout)
        if source is not None:
            target.touch(source)
            if authoritative:
                self.stage(IDENTITIES).touch(source)
            if section == "accounts":
                self.sources.add_attributes(source, layout.attributes)
                if not any(file.partition == source for file in target.files):
                    self.warnings.append(
                        f"{part.file.name} has no accounts: the source {mapping.name!r} is now without any."
                    )
        elif section == "accounts":
            named = target.touched - before
            if index is None and rule is not None:
                self.late |= named
            for id in sorted(named):
                mine = authoritative is True or (authoritative is not False and id in authoritative)
                self._describe(id, mine, rule, {"type": mapping.type, "description": mapping.description}, mapping)
            for id in sorted((authoritative if isinstance(authoritative, frozenset) else frozenset()) - named):
                self.warnings.append(
                    f"{mapping.path.name}: source.authoritative names {self.sources.name(id)!r}, which has no row."
                )

    def _keeper(
        self,
        table: Table,
        shape: Shape,
        rule: Correlation | None = None,
        index: IdentityIndex | None = None,
        fan: bool = False,
    ) -> Keep:
        """What is done with each batch of a file: its rows go to the stages of their tables."""
        if table is not SOURCES:
            self.stage(table)

        def keep(batch: Batch, number: int) -> list[Fault]:
            found, bad = shape(batch)
            for item in found:
                data = item.data
                if item.table is SOURCES:
                    self.sources.put(_described(data))
                    continue
                if rule is not None and index is not None and item.table is ACCOUNTS:
                    data = correlated(data, rule, index)
                aside = fan and item.table is not table and item.table in (ACCOUNTS, ACCOUNT_ENTITLEMENTS)
                stage = self._nested(item.table) if aside else self.stage(item.table)
                stage.add(data, origins(number, item.records))
            return bad

        return keep

    def _nested(self, table: Table) -> Stage:
        if table.name not in self.nested:
            self.nested[table.name] = self.aside(table, f"nested-{table.name}")
        return self.nested[table.name]

    def _run(self, file: OpenedFile, table: Table, keep: Keep, layout: Layout | None = None) -> None:
        number = self.rejects.open_file(str(file.path), file.line_of)
        joined = frozenset(layout.lists) if layout is not None else frozenset[str]()
        self._holds[number] = table
        self._readers[number] = (lambda: file.batches(joined), file.text)
        read = 0
        with contextlib.closing(ahead(file.batches(joined))) as items:
            for batch in items:
                bad = keep(batch, number)
                for fault in sorted((*batch.faults, *bad), key=_record):
                    self.rejects.add(number, fault.record, fault.column, fault.reason, fault.row)
                count = len(batch.records) + len(batch.faults)
                read += count
                self.rows += count
                self._tell(file.path, batch.position)
        self._files.append((number, file.path, table, read))
        self._done += file.path.stat().st_size
        if not read and table is not SOURCES:
            self.warnings.append(f"{file.path.name} has no rows.")

    def _tell(self, path: Path, position: int) -> None:
        now = time.monotonic()
        if now - self._told > 0.1:
            self._told = now
            self._on_progress(Progress("reading", path.name, self._done + position, self.inputs.size, self.rows))


def _record(fault: Fault) -> int:
    return fault.record


def _described(data: pa.Table) -> list[dict[str, Any]]:
    """Sources as a file describes them; what only a load can know is left out."""
    own = {"accountAttributes", "correlation", "loaded", "loadId"}
    return [{k: v for k, v in row.items() if k not in own} for row in data.to_pylist()]
