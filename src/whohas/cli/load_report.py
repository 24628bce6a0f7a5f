"""Printing of the report of a load."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from whohas.cli.terminal import single_line, without_control_characters
from whohas.plurals import pluralize

if TYPE_CHECKING:
    from whohas.ingest import LoadReport, Rejection


def print_load(report: LoadReport, check: bool, quiet: bool, stopped: bool) -> None:
    """Print the result of a load, or with `check` what a load would do.

    Args:
        report: the report of the load.
        check: whether this was a check that wrote nothing.
        quiet: print only losses (rejected rows, emptied cells), on stderr.
        stopped: whether the load was stopped, or would be, to protect data.
    """
    if quiet:
        for line in _lost(report, check, stopped):
            print(without_control_characters(line), file=sys.stderr)
        return
    future = check or stopped
    _tables(report, future)
    for file, names in report.unknown.items():
        print(without_control_characters(f"{file}: columns that become attributes: {', '.join(names)}"))
    for warning in report.warnings:
        print(without_control_characters(f"Note: {warning}"))
    for line in _lost(report, check, stopped):
        print(without_control_characters(line))
    read = sum(file.read for file in report.files)
    rate = f"{pluralize(read, 'row')} read in {report.seconds:.1f} s"
    if check:
        print(f"{rate}. Nothing was written: this was a check.")
    elif stopped:
        print(f"{rate}. Nothing was published.")
    else:
        print(f"{rate}. Published as snapshot {report.snapshot}.")


def load_facts(report: LoadReport, check: bool, stopped: bool) -> dict[str, Any]:
    """Return the result of a load as an object for JSON; arguments as for `print_load`."""

    def rejections(found: Sequence[Rejection]) -> list[dict[str, Any]]:
        return [
            {"file": one.file, "line": one.line, "column": one.column or None, "reason": one.reason} for one in found
        ]

    return {
        "loadId": report.load_id,
        "check": check,
        "stopped": stopped,
        "snapshot": report.snapshot,
        "seconds": round(report.seconds, 3),
        "files": [
            {"name": one.name, "table": one.holds, "read": one.read, "rejected": one.rejected, "emptied": one.emptied}
            for one in report.files
        ],
        "tables": [
            {"name": one.name, "before": one.before, "after": one.after, "loaded": one.loaded} for one in report.tables
        ],
        "sources": [
            {
                "id": one.id,
                "name": one.name,
                "authoritative": one.authoritative,
                "before": one.before,
                "after": one.after,
                "correlated": one.correlated,
                "uncorrelated": one.uncorrelated,
            }
            for one in report.sources
        ],
        "rejected": report.rejected,
        "rejections": rejections(report.rejections),
        "emptied": report.emptied,
        "emptiedCells": rejections(report.emptied_cells),
        "rejects": None if report.rejects is None else str(report.rejects),
        "losses": [str(loss) for loss in report.losses],
        "warnings": list(report.warnings),
        "attributes": {file: list(names) for file, names in report.unknown.items()},
    }


def load_counts(report: LoadReport) -> tuple[Sequence[str], list[list[str]]]:
    """Return the counts of a load by source and by table, as the header and the rows of a CSV file."""
    head = ("kind", "name", "before", "after", "loaded", "correlated", "uncorrelated")
    sources = [
        ["source", one.name, str(one.before), str(one.after), "", str(one.correlated), str(one.uncorrelated)]
        for one in report.sources
    ]
    tables = [["table", one.name, str(one.before), str(one.after), str(one.loaded), "", ""] for one in report.tables]
    return head, [*sources, *tables]


def _lost(report: LoadReport, check: bool, stopped: bool) -> Iterable[str]:
    """Yield lines about rejected rows, emptied cells and losses beyond the limits."""
    if report.rejected:
        verb = "would be" if check else "was" if report.rejected == 1 else "were"
        others = "" if check or stopped else "; the others are loaded"
        yield f"{pluralize(report.rejected, 'row')} {verb} rejected{others}:"
        yield from _examples(report.rejections, report.rejected)
    if report.emptied:
        one = report.emptied == 1
        if check or stopped:
            verb = "cannot be read and would be empty"
        else:
            now, rows = ("is", "its row is") if one else ("are", "their rows are")
            verb = f"could not be read and {now} empty now; {rows} loaded"
        yield f"{pluralize(report.emptied, 'cell')} {verb}:"
        yield from _examples(report.emptied_cells, report.emptied)
    if report.rejects is not None:
        yield f"All of them, with their rows: {report.rejects}"
    if report.losses and stopped:
        what = "would be stopped to protect data" if check else "was stopped to protect data; nothing was published"
        yield f"The load {what}:"
    elif report.losses:
        what = "would be" if check else "was"
        yield f"More {what} lost than the limits allow, and --accept-loss accepted it:"
    for loss in report.losses:
        yield f"  {loss}"
    if report.losses and stopped:
        from whohas.ingest import remedies

        yield from remedies(report.losses)


def _examples(found: Sequence[Rejection], total: int) -> Iterable[str]:
    for rejection in found:
        yield f"  {rejection}"
    if total > len(found):
        yield f"  and {total - len(found):,} more"


def _tables(report: LoadReport, future: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    from whohas.cli.terminal import console as opened

    console = opened()
    after = "would be" if future else "now"
    if report.sources:
        table = Table(title="Accounts by source", title_justify="left", box=None, pad_edge=False)
        table.add_column("Source")
        for name in ("before", after, "correlated", "uncorrelated"):
            table.add_column(name, justify="right")
        for source in report.sources:
            name = f"{source.name} (authoritative)" if source.authoritative else source.name
            counts = (source.before, source.after, source.correlated, source.uncorrelated)
            table.add_row(escape(single_line(name)), *(f"{count:,}" for count in counts))
        console.print(table)
        console.print()
    others = Table(title="Rows by table", title_justify="left", box=None, pad_edge=False)
    others.add_column("Table")
    for name in ("before", after, "in this load"):
        others.add_column(name, justify="right")
    for count in report.tables:
        others.add_row(count.name, f"{count.before:,}", f"{count.after:,}", f"{count.loaded:,}")
    console.print(others)
    console.print()
