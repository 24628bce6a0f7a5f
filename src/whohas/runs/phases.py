"""Where the time of runs goes: by report and phase, added up in the database, for all servers and for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from whohas.database import metadata, upserting

phase_total = sa.Table(
    "phase_total",
    metadata,
    sa.Column("report_type", sa.Text, primary_key=True),
    sa.Column("phase", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Total:
    """All that a phase of a report has come to."""

    report_type: str
    phase: str
    count: int
    seconds: float
    rows: int


def add(connection: sa.Connection, report_type: str, phases: Sequence[Mapping[str, Any]]) -> None:
    """Counts the phases of a run that is over, within the transaction that ends it.

    Args:
        phases: of each its `phase`, `began` and `ended` (seconds since 1970), and `rows`.
    """
    # in one order, so that two runs that end at once do not wait for each other
    for phase in sorted(phases, key=lambda one: one["phase"]):
        insert = upserting(connection, phase_total).values(
            report_type=report_type,
            phase=phase["phase"],
            count=1,
            seconds=phase["ended"] - phase["began"],
            rows=phase["rows"],
        )
        added = {name: phase_total.c[name] + insert.excluded[name] for name in ("count", "seconds", "rows")}
        connection.execute(insert.on_conflict_do_update(index_elements=["report_type", "phase"], set_=added))


def totals(connection: sa.Connection) -> list[Total]:
    """What every phase has come to."""
    return [Total(**row) for row in connection.execute(sa.select(phase_total)).mappings()]
