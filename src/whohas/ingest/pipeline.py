"""Read every input file of a load into stages (staged Parquet files), one per table.

Identities are read before accounts, because accounts are correlated with identities while they are read. `reconcile`
then completes the stages.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.ingest.correlate import IdentityIndex, correlate_accounts, stored_correlation_rule, stored_manager_rule
from whohas.ingest.discover import InputFile, LoadInputs, ignored_reason
from whohas.ingest.documents import DocumentConverter
from whohas.ingest.mapping import ACCOUNT, ENTITLEMENT, Correlation, MappingPart, SourceMapping
from whohas.ingest.memberships import MembershipAccounts, MembershipRows, membership_account_attributes
from whohas.ingest.merging import SourceRows
from whohas.ingest.readers.batches import RowBatch, RowError, prefetch
from whohas.ingest.readers.open_file import OpenedFile, open_file, open_mapped
from whohas.ingest.rejects import InputRecords, Rejects, row_comparison
from whohas.ingest.report import FileCount, LoadProgress
from whohas.ingest.sources import LoadedSources
from whohas.ingest.staging import Stage, StageWriter, drop_origins, origins
from whohas.ingest.text_rows import (
    ColumnLayout,
    TableRows,
    TextRows,
    known_columns,
    layout_by_names,
    mapped_layout,
    named_columns,
)
from whohas.plurals import pluralize
from whohas.warehouse.arrow import pc
from whohas.warehouse.schema import (
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    ENTITLEMENTS,
    IDENTITIES,
    SOURCES,
    Table,
)
from whohas.warehouse.store import Load

BatchHandler = Callable[[RowBatch, int], list[RowError]]
"""Converts and stages a batch of the input file with a number, and returns the errors."""

ExtraBatchHandler = Callable[[RowBatch, TableRows, int], None]
"""Called with a batch, its converted rows of the file's own table, and the number of the input file."""

Shape = Callable[[RowBatch], tuple[list[TableRows], list[RowError]]]

_ORDER = ("sources", "identity_profiles", "identities")
"""Tables whose files are read before all others, in this order."""


class ReadPipeline:
    """The state of a load while its files are read and reconciled: stages, sources, counts and warnings.

    `read` reads all files. As a context manager it stops the thread that writes staged files.

    Attributes:
        connection: DuckDB.
        load: the load, which has the snapshot that it builds on and creates files.
        inputs: the input files and mappings.
        rejects: the list of rejected rows and unreadable cells.
        records: the input files by number, for rejecting records after they were read.
        sources: the registry of sources.
        stages: the rows to publish, by name of the table.
        nested: accounts and account entitlements nested in identity documents, by name of the table.
        memberships: for each file of memberships, or of accounts with columns of entitlements, its mapping and a stage
            of account entitlements whose ids are still native identities and values of entitlements.
        warnings: warnings for the load's report.
        unknown: for each file by name, its columns that are not columns of the table.
        rules: correlation rules by source id, of sources that a mapping describes.
        late: ids of sources whose accounts have to be correlated once everything is read: those of a mapping in which
            only some sources are authoritative, and those whose accounts are created from memberships.
        given_ids: whether any file has ids of accounts, which may then be repeated.
        named_managers: ids of authoritative sources whose mapping reads `managerId` from a column, so that it may hold
            native identities instead of ids.
        described: ids of sources whose accounts are read by a mapping in this load.
        named: accounts that are created from memberships; None before the first file with such memberships.
        named_rules: for the sources of these accounts, by id: the mapping, the column of the account in the file of
            memberships, and the attributes of the accounts.
        rows: number of records read so far.
        files: the files that were read: number, path, table, and number of records.
        filled: by number of the file, the number of cells with a text by column; see `TextRows.filled`.
        items: by number of the file, the number of objects in lists by column; see `TextRows.items`.
    """

    def __init__(
        self,
        connection: Any,
        load: Load,
        inputs: LoadInputs,
        rejects: Rejects,
        on_progress: Callable[[LoadProgress], None],
    ) -> None:
        self.connection = connection
        self.load = load
        self.inputs = inputs
        self.rejects = rejects
        self.records = InputRecords(connection, rejects)
        self.sources = LoadedSources(load.base)
        self.stages: dict[str, Stage] = {}
        self.nested: dict[str, Stage] = {}
        self.memberships: list[tuple[SourceMapping, Stage]] = []
        self.warnings: list[str] = [f"{path} was passed over: {ignored_reason(path)}." for path in inputs.ignored]
        self.warnings += [note for mapping in inputs.mappings for note in mapping.notes]
        self.unknown: dict[str, tuple[str, ...]] = {}
        self.rules: dict[str, Correlation] = {}
        self.late: set[str] = set()
        self.given_ids = False
        self.named_managers: set[str] = set()
        self.described: set[str] = set()
        self.named: Stage | None = None
        self.named_rules: dict[str, tuple[SourceMapping, str, tuple[str, ...]]] = {}
        self.rows = 0
        self.files: list[tuple[int, Path, Table, int]] = []
        self._writer = StageWriter()
        self._done = 0
        self._told = 0.0
        self._on_progress = on_progress
        self.filled: dict[int, Counter[str]] = {}
        self.items: dict[int, Counter[str]] = {}
        self._indexes: dict[tuple[str, bool], IdentityIndex] = {}

    def __enter__(self) -> ReadPipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    @property
    def has_identity_ids(self) -> bool:
        """Whether a mapping names a column of ids for the identities that it makes."""
        return bool(self.records.id_columns)

    @property
    def replaced_sources(self) -> set[str]:
        """The ids of the sources whose rows the load replaces, in any of the tables partitioned by source."""
        named = ("accounts", "entitlements", "account_entitlements", "identities")
        return {id for name in named if name in self.stages for id in self.stages[name].touched if id}

    def read(self) -> None:
        """Read all files into stages.

        The order is: sources, identity profiles and identities; accounts of authoritative mappings, which create
        identities; the other files without a mapping; accounts of other mappings; entitlements; memberships. The
        identities are complete before the first account of a source that is not authoritative is correlated.

        Raises:
            InvalidArguments: a file or a mapping is invalid.
            Unavailable: the disk is full.
        """
        before = [file for file in self.inputs.files if file.table.name in _ORDER]
        for file in sorted(before, key=lambda file: _ORDER.index(file.table.name)):
            self._own(file)
        self._announce_mappings()
        mapped = [mapping for mapping in self.inputs.mappings if mapping.accounts is not None]
        for mapping in sorted(mapped, key=lambda mapping: mapping.authoritative is not True):
            if mapping.authoritative:
                self._accounts(mapping)
        if self.records.id_columns or any(mapping.authoritative and mapping.multi_row_columns for mapping in mapped):
            self._finish_made()
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
                self._members(mapping, mapping.memberships)

    def stage(self, table: Table) -> Stage:
        """Return the stage of a table's rows to publish; it is created by the first call."""
        if table.name not in self.stages:
            self.stages[table.name] = self.fresh_stage(table)
        return self.stages[table.name]

    def fresh_stage(self, table: Table) -> Stage:
        """Return a new stage of a table that is not in `stages`; its files are created where they can be published."""
        return Stage(table, lambda: self.load.new_file_path(table), self.load.scratch, self._writer)

    def scratch_stage(self, table: Table, name: str) -> Stage:
        """Return a stage in a scratch folder, whose files are not published as they are."""
        folder = self.load.scratch / name
        folder.mkdir(exist_ok=True)
        numbers = iter(range(1_000_000))
        return Stage(table, lambda: folder / f"{next(numbers)}.parquet", folder, self._writer)

    def finish(self, table: Table) -> None:
        """Complete the stage of a table, and reject rows whose id an earlier row has. Without a stage, do nothing."""
        stage = self.stages.get(table.name)
        if stage is None:
            return
        stage.finish(self.connection)
        gone = self.records.drop_duplicates(stage, "id", "id")
        accounts = self.stages.get(ACCOUNTS.name)
        if table is IDENTITIES and accounts is not None and self.records.id_columns:
            # If identities have ids from a column, two accounts may create identities of the same id. The account of
            # the rejected identity is left out too.
            drop_origins(accounts, gone)

    def _finish_made(self) -> None:
        """Complete the accounts read so far, and merge the rows of each account, in their identities too.

        An example: the rows `u1,admin` and `u1,audit`, with a column of entitlements, become one account with the
        attribute `[admin, audit]`, and the identity that the account creates gets the same attribute.
        """
        accounts, identities = self.stages.get(ACCOUNTS.name), self.stages.get(IDENTITIES.name)
        if accounts is None or identities is None:
            return
        accounts.finish(self.connection)
        identities.finish(self.connection)
        merging = self.records.merge_accounts(accounts)
        if merging is not None:
            merging.apply(identities, {})
            if self.records.id_columns:
                drop_origins(identities, merging.gone)

    def identity_files(self) -> list[Path]:
        """Return the files with all identities as they will be after the load: kept files and staged ones.

        The stage of identities has to be complete.
        """
        stage = self.stages.get(IDENTITIES.name)
        touched = stage.touched if stage else set[str]()
        kept = [file.path for file in self.load.base.files(IDENTITIES) if (file.partition or "") not in touched]
        return kept + ([file.path for file in stage.files if file.rows] if stage else [])

    def index(self, rule: Correlation) -> IdentityIndex:
        """Return the index that finds identities by the value that a rule compares; it is built by the first call."""
        key = (rule.identity, rule.ignore_case)
        if key not in self._indexes:
            self._indexes[key] = IdentityIndex(
                self.connection, self.identity_files(), rule.identity, rule.ignore_case, self.load.scratch
            )
        return self._indexes[key]

    def indexes(self) -> list[tuple[tuple[str, bool], IdentityIndex]]:
        """Return all indexes created so far, each with its column of identities and whether it ignores case."""
        return list(self._indexes.items())

    def counts(self) -> tuple[FileCount, ...]:
        """Return for each file the numbers of records read, rows rejected and cells emptied."""
        return tuple(
            FileCount(path.name, table.name, read, self.rejects.counts[number], self.rejects.emptied[number])
            for number, path, table, read in self.files
        )

    def _announce_mappings(self) -> None:
        """Add the sources that mappings name to the registry, before any row of them is read."""
        for mapping in self.inputs.mappings:
            rule = stored_correlation_rule(mapping)
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
        """Set the properties of a source that its mapping determines; its rules only if the mapping has accounts."""
        self.sources.update(id, authoritative=authoritative, **described)
        if mapping.accounts is not None:
            self.described.add(id)
            self.sources.rows[id]["correlation"] = None if authoritative or rule is None else rule.to_json()
            if rule is not None and not authoritative:
                self.rules[id] = rule
            manager = stored_manager_rule(mapping) if authoritative else None
            self.sources.rows[id]["managerCorrelation"] = None if manager is None else manager.to_json()

    def _own(self, file: InputFile) -> None:
        """Read a file that needs no mapping: JSON documents (without a header), or a file with our column names."""
        known = known_columns(file.table)
        opened = open_file(file.path, file.format, file.table, self.connection, known=known)
        if not opened.header:
            self.given_ids = True
            shape = DocumentConverter(self.connection, file.table, self.sources)
            keep = self._keeper(file.table, shape, fan=True)
            self.items[self._run(opened, file.table, keep, shape.filled)] = shape.items
            return
        layout = layout_by_names(file.path, file.table, opened.header, opened.lists)
        self.given_ids |= file.table is ACCOUNTS and "id" in layout.columns
        if layout.unknown:
            self.unknown[file.path.name] = layout.unknown
        shape = TextRows(self.connection, file.table, opened, layout, self.sources)
        self.items[self._run(opened, file.table, self._keeper(file.table, shape), shape.filled, layout)] = shape.items

    def _accounts(self, mapping: SourceMapping) -> None:
        """Read the accounts of a mapping; correlate those of sources that are not authoritative."""
        assert mapping.accounts is not None
        rule = stored_correlation_rule(mapping)
        index = self.index(rule) if rule is not None and not mapping.authoritative else None
        self.given_ids |= "id" in mapping.accounts.columns
        self._part(mapping, mapping.accounts, "accounts", ACCOUNTS, rule, index)

    def _part(
        self,
        mapping: SourceMapping,
        part: MappingPart,
        section: str,
        table: Table,
        rule: Correlation | None = None,
        index: IdentityIndex | None = None,
    ) -> None:
        """Read a mapping's file of accounts or entitlements.

        Args:
            mapping: the mapping.
            part: its settings for the file.
            section: `accounts` or `entitlements`.
            table: the table of the file's rows.
            rule: the correlation rule of accounts, if there is one.
            index: the index to correlate them with; None if they cannot be correlated yet.
        """
        needed = frozenset(name for _, name in named_columns(mapping, part, section))
        opened = open_mapped(part.file, table, mapping, self.connection, needed)
        layout = mapped_layout(mapping, part, section, opened.header, opened.lists)
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
        )
        target = self.stage(table)
        before = set(target.touched)
        also = self._carried(mapping, part, opened, layout, source) if part.entitlements else None
        keep = self._keeper(table, shape, rule, index, also=also)
        number = self._run(opened, table, keep, shape.filled, layout, source or "")
        self.items[number] = shape.items
        if section == "accounts":
            self.records.compared[number] = row_comparison(mapping, layout)
            if authoritative and "id" in mapping.identities:
                self.records.id_columns[number] = mapping.identities["id"].column
                self._tell_made_ids(part.file.name, mapping.identities["id"].column, shape.without_id)
        if source is not None:
            target.touch_partition(source)
            if authoritative:
                self.stage(IDENTITIES).touch_partition(source)
            if authoritative and "managerId" in mapping.identities:
                self.named_managers.add(source)
            if section == "accounts":
                self.sources.add_attributes(source, layout.attributes)
                if not any(file.partition == source for file in target.files):
                    self.warnings.append(
                        f"{part.file.name} has no accounts: the source {mapping.name!r} is now without any. "
                        "Load a file that has them."
                    )
        elif section == "accounts":
            named = target.touched - before
            if index is None and rule is not None:
                self.late |= named
            for id in sorted(named):
                mine = authoritative is True or (authoritative is not False and id in authoritative)
                self._describe(id, mine, rule, {"type": mapping.type, "description": mapping.description}, mapping)
                if mine and "managerId" in mapping.identities:
                    self.named_managers.add(id)
            for id in sorted((authoritative if isinstance(authoritative, frozenset) else frozenset()) - named):
                self.warnings.append(
                    f"{mapping.path.name}: source.authoritative names {self.sources.name(id)!r}, which has no row. "
                    "Correct the name, or add the rows."
                )

    def _tell_made_ids(self, file: str, column: str, count: int) -> None:
        if count:
            named = f"{pluralize(count, 'row has', 'rows have')} no {column}, which identities.columns.id names"
            made = "the ids of their identities are made from source and native identity"
            self.warnings.append(f"{file}: {named}: {made}.")

    def _carried(
        self, mapping: SourceMapping, part: MappingPart, opened: OpenedFile, layout: ColumnLayout, source: str | None
    ) -> ExtraBatchHandler:
        """Return the function that stages the entitlements in columns of a file of accounts as memberships.

        The account attribute of a membership is the column. An example: with `entitlements = ["GROUPS"]` and the
        separator `;`, the row `u1,admin;audit` gives the memberships (u1, admin) and (u1, audit), both of the attribute
        GROUPS. Rows whose account was rejected give none.
        """
        aside = self._aside_members(mapping)
        target = self.stage(ACCOUNT_ENTITLEMENTS)
        if source is not None:
            target.touch_partition(source)
        shapes: list[MembershipRows] = []
        for column in part.entitlements:
            columns = {ACCOUNT: layout.columns["nativeIdentity"], ENTITLEMENT: (column,)}
            columns |= {name: layout.columns[name] for name in ("sourceName",) if name in layout.columns}
            mine = ColumnLayout(columns, lists=layout.lists)
            shapes.append(MembershipRows(self.connection, opened, mine, self.sources, source, column, known=True))

        def take(batch: RowBatch, accounts: TableRows, number: int) -> None:
            self.records.quiet.add(number)
            target.touched.update(pc.unique(accounts.data.column("sourceId")).to_pylist())
            if len(accounts.records) < len(batch.record_numbers):
                good = np.isin(batch.record_numbers, accounts.records)
                batch = RowBatch(batch.data.filter(pa.array(good)), batch.record_numbers[good])
            for shape in shapes:
                for item in shape(batch)[0]:
                    aside.add(item.data, origins(number, item.records))

        return take

    def _aside_members(self, mapping: SourceMapping) -> Stage:
        """Return a scratch stage for memberships of a mapping, which `reconcile` resolves to ids."""
        aside = self.scratch_stage(ACCOUNT_ENTITLEMENTS, f"memberships-{len(self.memberships)}")
        self.memberships.append((mapping, aside))
        return aside

    def _members(self, mapping: SourceMapping, part: MappingPart) -> None:
        """Read a mapping's file of memberships, and create accounts from it if the mapping has no file of accounts."""
        needed = frozenset(name for _, name in named_columns(mapping, part, "memberships"))
        opened = open_mapped(part.file, ACCOUNT_ENTITLEMENTS, mapping, self.connection, needed)
        layout = mapped_layout(mapping, part, "memberships", opened.header, opened.lists)
        account = layout.columns[ACCOUNT][0]
        source = None if mapping.name is None else self.sources.resolve(mapping.id, mapping.name)
        shape = MembershipRows(self.connection, opened, layout, self.sources, source, known=mapping.is_single_file)
        attributes = membership_account_attributes(mapping, list(layout.attributes), account, opened.header)
        named: list[tuple[MembershipAccounts, Stage]] = []
        if mapping.accounts is None and (source is None or self.may_make_accounts(source)):
            shown = replace(layout, attributes={name: name for name in attributes})
            self.named = self.named or self.scratch_stage(ACCOUNTS, "named")
            named.append((MembershipAccounts(self.connection, opened, shown, self.sources, source), self.named))
        aside = self._aside_members(mapping)
        touched = set[str]()

        def keep(batch: RowBatch, number: int) -> list[RowError]:
            found, bad = shape(batch)
            for item in found:
                aside.add(item.data, origins(number, item.records))
            for accounts, stage in named:
                for item in accounts(batch):
                    touched.update(pc.unique(item.data.column("sourceId")).to_pylist())
                    stage.add(item.data, origins(number, item.records))
            return bad

        number = self._run(
            opened, ACCOUNT_ENTITLEMENTS, keep, shape.filled, layout, source or "", known=mapping.is_single_file
        )
        aside.finish(self.connection)
        if mapping.is_single_file or layout.lists or (mapping.accounts is not None and mapping.accounts.entitlements):
            self.records.quiet.add(number)
        self.records.compared[number] = SourceRows(account, {}, None)
        for id in touched:
            self.named_rules.setdefault(id, (mapping, account, tuple(attributes)))
        target = self.stage(ACCOUNT_ENTITLEMENTS)
        target.touched |= aside.touched
        if source is not None:
            target.touch_partition(source)
        if shape.without and not mapping.is_single_file:
            rows = pluralize(shape.without, "row has", "rows have")
            self.warnings.append(
                f"{part.file.name}: {rows} no {layout.columns[ENTITLEMENT][0]}, and so no entitlement."
            )

    def may_make_accounts(self, id: str) -> bool:
        """Return whether the accounts of a source may be created from memberships.

        They may if no load has read a file of accounts of the source, and the source has no accounts yet or only
        accounts that were created from memberships.
        """
        if self.sources.rows[id]["loadId"] is not None:
            return False
        if self.sources.has_named_accounts(id):
            return True
        nested = self.nested.get(ACCOUNTS.name)
        return not self.load.base.files(ACCOUNTS, frozenset({id})) and (nested is None or id not in nested.touched)

    def _keeper(
        self,
        table: Table,
        shape: Shape,
        rule: Correlation | None = None,
        index: IdentityIndex | None = None,
        fan: bool = False,
        also: ExtraBatchHandler | None = None,
    ) -> BatchHandler:
        """Return the function that converts a batch of a file and stages the rows.

        Args:
            table: the table of the file.
            shape: the converter of batches.
            rule: the rule by which accounts are correlated; applied if `index` is set too.
            index: the identities for the rule.
            fan: whether the file holds documents whose nested rows belong to other tables. Nested accounts and account
                entitlements go to scratch stages, because a file of accounts takes precedence over them.
            also: called with each batch and its rows of `table`.
        """
        if table is not SOURCES:
            self.stage(table)

        def keep(batch: RowBatch, number: int) -> list[RowError]:
            found, bad = shape(batch)
            for item in found:
                data = item.data
                if item.table is SOURCES:
                    self.sources.merge_rows(_described(data))
                    continue
                if rule is not None and index is not None and item.table is ACCOUNTS:
                    data = correlate_accounts(data, rule, index)
                aside = fan and item.table is not table and item.table in (ACCOUNTS, ACCOUNT_ENTITLEMENTS)
                stage = self._nested(item.table) if aside else self.stage(item.table)
                stage.add(data, origins(number, item.records))
                if also is not None and item.table is table:
                    also(batch, item, number)
            return bad

        return keep

    def _nested(self, table: Table) -> Stage:
        """Return the scratch stage of a table's rows that are nested in documents."""
        if table.name not in self.nested:
            self.nested[table.name] = self.scratch_stage(table, f"nested-{table.name}")
        return self.nested[table.name]

    def _run(
        self,
        file: OpenedFile,
        table: Table,
        keep: BatchHandler,
        filled: Counter[str],
        layout: ColumnLayout | None = None,
        source: str = "",
        known: bool = False,
    ) -> int:
        """Read a file, list its errors, and return the number that the load gives to it.

        Args:
            file: the open file.
            table: the table of its rows.
            keep: converts and stages a batch, and returns its errors.
            filled: the counter that `keep` updates; see `TextRows.filled`.
            layout: the assignment of its columns; None for documents.
            source: the id of the source of all its rows; empty if the rows name it.
            known: whether the same file is read as accounts too, so that its unreadable records are listed already.
        """
        number = self.rejects.register_file(str(file.path), file.line_of)
        self.filled[number] = filled
        joined = frozenset(layout.lists) if layout is not None else frozenset[str]()
        self.records.register_file(number, table, lambda: file.batches(joined), file.format_row, layout)
        read = 0
        with contextlib.closing(prefetch(file.batches(joined))) as items:
            for batch in items:
                bad = keep(batch, number)
                unread = () if known else (replace(fault, source_id=source) for fault in batch.row_errors)
                for fault in sorted((*unread, *bad), key=lambda fault: fault.record_number):
                    self.rejects.add_error(number, fault)
                count = len(batch.record_numbers) + sum(fault.cell_text is None for fault in batch.row_errors)
                read += count
                self.rows += count
                self._tell(file.path, batch.bytes_read)
        self.warnings += file.notes()
        self.files.append((number, file.path, table, read))
        self._done += file.path.stat().st_size
        if not read and table is not SOURCES:
            self.warnings.append(f"{file.path.name} has no rows. Check the export.")
        return number

    def _tell(self, path: Path, position: int) -> None:
        """Report the progress, at most ten times a second."""
        now = time.monotonic()
        if now - self._told > 0.1:
            self._told = now
            self._on_progress(
                LoadProgress("reading", path.name, self._done + position, self.inputs.total_bytes, self.rows)
            )


def _described(data: pa.Table) -> list[dict[str, Any]]:
    """Return rows of a file of sources, without the columns that only loads and mappings may set."""
    own = {"accountAttributes", "correlation", "managerCorrelation", "holdingsFrom", "loaded", "loadId"}
    return [{k: v for k, v in row.items() if k not in own} for row in data.to_pylist()]
