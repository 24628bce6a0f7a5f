"""The page of results: what was promised and what was seen, then each kind of file with everybody's figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from bench import peers
from bench.machine import machine
from bench.rounds import Series, number

_COMPARED: Final = ("DuckDB COPY", "Polars sink_csv", "pyarrow write_csv")
"""The fastest of these is what a CSV is held against; and DuckDB that may leave the order, as whohas does."""
_UNORDERED: Final = "DuckDB COPY, any order"
_JUDGED: Final = 1_000_000
"""Rows from which on a promise is judged: below, the fixed cost of a run is most of its time."""
_MB: Final = 1.048576
"""Megabytes of a mebibyte."""


def page(series: Sequence[Series], missing: Sequence[str], seconds: float) -> str:
    """All of `bench/results.md`."""
    kinds = dict.fromkeys((one.table, one.format) for one in series)
    parts = [_INTRODUCTION.format(today=f"{datetime.now(UTC):%Y-%m-%d}"), _floors(series)]
    parts += [_table([one for one in series if (one.table, one.format) == kind]) for kind in kinds]
    if missing:
        parts.append(f"Not installed, so not measured: {', '.join(missing)}.")
    versions = dict.fromkeys(f"{peer.name} {peer.version()}" for peer in peers.PEERS if peer.name not in missing)
    parts.append(f"{machine(('duckdb', 'pyarrow', 'numpy', 'isal'))}. Peers: {', '.join(versions)}.")
    parts.append(f"The whole took {seconds / 60:.0f} minutes.")
    return "\n\n".join(part for part in parts if part) + "\n"


_INTRODUCTION: Final = """# Files

`make bench` on {today}. Everybody makes the same rows in the same run, turn by turn: whohas, the peers, and the other way
round in the next round. Seconds are medians; the spread is that of the largest size.

- **ACCOUNTS**: whohas has the accounts in its warehouse, and makes the report of them over its HTTP API; the seconds are
  those from the POST to the answer that says SUCCESS, so the queue, the child process, the join with sources and
  identities, the attributes, the checksum and the sync to disk are in them. The peers write the very rows and columns of
  that report from a Parquet file that a run of it made, where the join is done and several values are one text already.
  But for some: "the report's statement" is DuckDB's COPY of the very statement of the report on the same warehouse, without
  a run around it.
- **14 columns**: fourteen columns of ordinary text as a printed page or a sheet. whohas is the child process that makes
  the files of runs, from its work to its last word, with the rows as a run keeps them (Parquet). The peers' seconds are
  those from rows in Parquet or CSV to the file, without the start of Python or Java.
- **peak** is the most memory that the process which makes the file had, by the kernel's own mark: of whohas the child,
  of a database its server's process and its client.
- **times whohas** is a peer's time, divided by that of whohas for as many rows: above 1, whohas is faster.
- Peers that take long are given fewer rows, and are asked once where a turn takes more than 25 s."""


def _table(series: Sequence[Series]) -> str:
    ours = {one.rows: one for one in series if one.by == "whohas"}
    sizes = sorted(ours)
    lines = [
        f"## {series[0].label}, {series[0].table}",
        "",
        "| seconds for rows: | "
        + " | ".join(f"{rows:,}" for rows in sizes)
        + " | spread | rows a second | peak | file "
        "| times whohas |",
        "| --- |" + " ---: |" * (len(sizes) + 5),
    ]
    for by in dict.fromkeys(one.by for one in series):
        own = {one.rows: one for one in series if one.by == by}
        last = own[max(own)]
        cells = [number(own[rows].seconds) if rows in own else "" for rows in sizes]
        times = "" if by == "whohas" else f"{last.seconds / ours[last.rows].seconds:.2f}"
        lines.append(
            f"| {by} | {' | '.join(cells)} | {last.spread} | {last.rate:,.0f} | {last.peak_mib:,.0f} MiB "
            f"| {last.samples[0].file_bytes / 1e6:,.1f} MB | {times} |"
        )
        if by == "whohas" and series[0].table == "ACCOUNTS":
            inside = [number(own[rows].own or 0.0) for rows in sizes]
            peak = ", ".join(f"{own[rows].peak_mib:,.0f}" for rows in sizes)
            lines.append(f"| of it the worker | {' | '.join(inside)} | | | | | |")
            note = f"The peaks of whohas at these sizes: {peak} MiB."
        elif by == "whohas":
            peak = ", ".join(f"{own[rows].peak_mib:,.0f}" for rows in sizes)
            note = f"The peaks of whohas at these sizes: {peak} MiB."
    return "\n".join([*lines, "", note])


def _floors(series: Sequence[Series]) -> str:
    found = list(_judged([one for one in series if one.by != "whohas" or one.rows >= _JUDGED]))
    if not found:
        return ""
    lines = ["| promised | seen | |", "| --- | ---: | --- |"]
    lines += [f"| {promise} | {seen} | {'holds' if holds else '**does not hold**'} |" for promise, seen, holds in found]
    return "\n".join(lines)


def _judged(series: Sequence[Series]) -> Iterable[tuple[str, str, bool]]:
    csv = _by_name(series, "ACCOUNTS", "csv")
    ours = csv.get("whohas", [])
    rivals = [one for name in _COMPARED for one in csv.get(name, []) if ours and one.rows == ours[-1].rows]
    unordered = [one for one in csv.get(_UNORDERED, []) if ours and one.rows == ours[-1].rows]
    if rivals:
        rival = min(rivals, key=lambda one: one.seconds)
        for by, one in (
            (f"{rival.by}, the fastest of DuckDB, Polars and Arrow,", rival),
            *((_UNORDERED, one) for one in unordered),
        ):
            ratio = ours[-1].seconds / one.seconds
            yield (
                f"A CSV of {ours[-1].rows:,} accounts in at most 1.25 times what {by} takes for its cells, joined and laid "
                "out before",
                f"{ratio:.2f}",
                ratio <= 1.25,
            )
        yield f"In less than 512 MiB, at {ours[-1].rows:,}", f"{ours[-1].peak_mib:,.0f} MiB", ours[-1].peak_mib < 512
    disarmed = csv.get("whohas, disarmed")
    if disarmed and "whohas" in csv:
        plain = next(one for one in csv["whohas"] if one.rows == disarmed[-1].rows)
        more = disarmed[-1].seconds / plain.seconds - 1
        yield f"Disarming costs at most 15%, at {plain.rows:,}", f"{more:.0%}", more <= 0.15
    for format, statement in peers.SAME_STATEMENT.items():
        named = _by_name(series, "ACCOUNTS", format)
        cells = peers.FINISHED_CELLS.get(format)  # of a CSV they are compared above, with those of others
        for name in [one for one in (cells, statement) if one in named and "whohas" in named]:
            peer = named[name][-1]
            ratio = named["whohas"][-1].seconds / peer.seconds
            promise = f"{peer.label} of {peer.rows:,} accounts, from POST to SUCCESS, in at most 1.25 times {name}"
            yield f"{promise}{' of the finished cells' if name == cells else ''}", f"{ratio:.2f}", ratio <= 1.25
    yield from _printed(_by_name(series, "14 columns", "pdf"))
    sheets = _by_name(series, "14 columns", "xlsx").get("whohas")
    if sheets:
        rate = sheets[-1].rate
        yield f"XLSX: 40,000 rows a second, at {sheets[-1].rows:,}", f"{rate:,.0f}", rate >= 40_000


def _printed(pdf: dict[str, list[Series]]) -> Iterable[tuple[str, str, bool]]:
    ours = pdf.get("whohas")
    if not ours:
        return
    best = max(ours, key=lambda one: one.rate)
    yield f"PDF: 100,000 rows a second, at {best.rows:,}", f"{best.rate:,.0f}", best.rate >= 100_000
    for name, times in (("ReportLab LongTable", 40), ("JasperReports PDF", 50)):
        if name in pdf:
            peer = max(pdf[name], key=lambda one: one.rate)
            ratio = best.rate / peer.rate
            promise = f"PDF: {times} times the rows a second of {name}, each at its best size"
            yield f"{promise} ({peer.rows:,})", f"{ratio:.0f}", ratio >= times
    for one in ours:
        if one.rows >= 1_000_000:
            peak = one.peak_mib * _MB
            yield f"PDF: less than 400 MB, at {one.rows:,}", f"{peak:,.0f} MB", peak < 400


def _by_name(series: Sequence[Series], table: str, format: str) -> dict[str, list[Series]]:
    """Who made such files, and what they took, from the smallest size to the largest."""
    chosen = sorted((one for one in series if (one.table, one.format) == (table, format)), key=lambda one: one.rows)
    return {by: [one for one in chosen if one.by == by] for by in dict.fromkeys(one.by for one in chosen)}
