"""Intake: files of identity data into the warehouse, each load all of it or none.

::

    discover   which files there are, and what they hold; mapping reads the TOML files
    streams    bytes, unpacked -> csv_files, json_files, parquet_files: batches of text
    text_rows  columns -> rows; documents: JSON documents -> rows of several tables (values, rows, attributes)
    staging    rows -> Parquet files, one a partition; duplicates, correlate, memberships, nested settle them
    guard      data that would be lost beyond the limits; gaps: what the files did not give
    publish    what changes in each table; the store commits it
"""

from whohas.ingest.guard import Limits, LoadStopped
from whohas.ingest.load import load
from whohas.ingest.report import FileCount, LoadReport, Loss, Progress, Rejection, SourceCount, TableCount

__all__ = [
    "FileCount",
    "Limits",
    "LoadReport",
    "LoadStopped",
    "Loss",
    "Progress",
    "Rejection",
    "SourceCount",
    "TableCount",
    "load",
]
