"""Ingest: load files of identity data into the warehouse. Each load is atomic: it publishes one snapshot or nothing.

The modules, in the order in which a load uses them::

    load       runs a load from its beginning to its end
    discover   finds the input files and the tables they belong to; mapping parses the TOML mapping files
    readers    open the files: csv, xlsx, json and parquet yield batches of text
    text_rows  converts text columns to table rows; documents converts JSON documents to rows of several tables
               (both use convert, values, objects and attributes)
    pipeline   runs all of the above for every input file
    staging    writes the rows to Parquet files, one per partition, before they are published
    rejects    collects rejected rows and emptied cells
    reconcile  completes the staged rows: duplicates (merging), memberships, correlate, references
    access     derives what identities hold from their accounts, by the SQL in deriving
    changes    lists the changes of each table; the store commits them
    notes      finds rules and references that match nothing
    guard      stops a load that would lose more data than the limits allow
"""

from whohas.ingest.guard import GuardLimits, LoadStopped, remedies
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
    "remedies",
]
