"""Ingest: load files of identity data into the warehouse. Each load is atomic: it publishes one snapshot or nothing.

The modules, in the order in which a load uses them::

    discover   finds the input files and the tables they belong to; mapping parses the TOML mapping files
    streams    decompresses and decodes bytes; csv_files, xlsx_files, json_files, parquet_files yield batches of text
    text_rows  converts text columns to table rows; documents converts JSON documents to rows of several tables
               (both use values, rows and attributes)
    reading    runs all of the above for every input file
    staging    writes the rows to Parquet files, one per partition, before they are published
    settle     reconciles the staged rows: duplicates, correlate, memberships, nested
    guard      stops a load that would lose more data than the limits allow; gaps records what could not be loaded
    publish    lists the changes of each table; the store commits them
"""

from whohas.ingest.guard import GuardLimits, LoadStopped
from whohas.ingest.load import load
from whohas.ingest.report import FileCount, LoadProgress, LoadReport, Loss, Rejection, SourceCount, TableCount

__all__ = [
    "FileCount",
    "GuardLimits",
    "LoadProgress",
    "LoadReport",
    "LoadStopped",
    "Loss",
    "Rejection",
    "SourceCount",
    "TableCount",
    "load",
]
