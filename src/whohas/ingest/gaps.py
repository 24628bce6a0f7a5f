"""Gaps: rows and cells that loads could not take from the files of a source. Reports of the snapshot name them."""

from __future__ import annotations

from whohas.ingest.pipeline import Reading
from whohas.warehouse.store import Gap


def gaps(reading: Reading, accepted: bool) -> tuple[Gap, ...]:
    """Return the gaps of the snapshot that a load publishes.

    Those of the rows that it replaces go, those of all others stay.

    Args:
        accepted: whether the load loses more than its limits allow, and that is accepted.
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
    return (*kept, *(Gap(table, source, *counts, accepted) for (table, source), counts in found.items()))
