"""Totals of the time that runs spend in each phase, by report type: counters in the database that all servers add
to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from whohas.db.engine import insert_in_dialect, metadata

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
class PhaseTotal:
    """The totals of one phase of one report type, over all runs that ended with files.

    Attributes:
        count: how many times the phase was completed.
        seconds: the sum of its durations.
        rows: the sum of its rows.
    """

    report_type: str
    phase: str
    count: int
    seconds: float
    rows: int


def add_phases(connection: sa.Connection, report_type: str, phases: Sequence[Mapping[str, Any]]) -> None:
    """Add the phases of a run to the totals, within the transaction that ends the run.

    Args:
        phases: for each phase its `phase` (name), `began` and `ended` (seconds since 1970), and `rows`.
    """
    # rows are locked in one order, so that two runs that end at the same time cannot deadlock
    for phase in sorted(phases, key=lambda facts: facts["phase"]):
        values = {
            "report_type": report_type,
            "phase": phase["phase"],
            "count": 1,
            "seconds": phase["ended"] - phase["began"],
            "rows": phase["rows"],
        }
        connection.execute(_add(connection.dialect.name), values)


@cache
def _add(dialect: str) -> sa.Insert:
    insert = insert_in_dialect(dialect, phase_total)
    added = {name: phase_total.c[name] + insert.excluded[name] for name in ("count", "seconds", "rows")}
    return insert.on_conflict_do_update(index_elements=["report_type", "phase"], set_=added)


def read_totals(connection: sa.Connection) -> list[PhaseTotal]:
    """Return the totals of every report type and phase."""
    return [PhaseTotal(**row) for row in connection.execute(sa.select(phase_total)).mappings()]
