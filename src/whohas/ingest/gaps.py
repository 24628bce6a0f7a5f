"""Gaps of a snapshot: the numbers of rejected rows and emptied cells, by table and source. Reports show them."""

from __future__ import annotations

from whohas.ingest.pipeline import ReadPipeline
from whohas.warehouse.store import LoadLoss


def snapshot_gaps(reading: ReadPipeline, accepted: bool) -> tuple[LoadLoss, ...]:
    """Return the gaps of the snapshot that a load publishes.

    Gaps of earlier loads are dropped for the tables and sources that this load replaces, and kept for all others.

    Args:
        accepted: whether the load exceeds its loss limits and was accepted nevertheless.
    """
    stages = reading.stages
    kept = [
        gap
        for gap in reading.load.base.gaps
        if gap.table not in stages or (gap.source and gap.source not in stages[gap.table].touched)
    ]
    found: dict[tuple[str, str], tuple[int, int]] = {}
    tables = {number: table.name for number, _, table, _ in reading.files}
    for (file, source), counts in reading.rejects.by_source.items():
        key = (tables[file], source)
        rejected, emptied = found.get(key, (0, 0))
        found[key] = (rejected + counts["rejected"] + counts["items"], emptied + counts["emptied"])
    return (*kept, *(LoadLoss(table, source, *counts, accepted) for (table, source), counts in found.items()))
