"""Mapping proposals for `whohas map`: a TOML mapping derived from the column names and values of files.

The modules, in the order in which the data passes them::

    sample     rows from all parts of a CSV, XLSX or Parquet file; `arranged` finds preamble, header and footer
    profile    counts and shapes of columns, by DuckDB; `times` detects time formats, `words` knows column names
    keys, several   the column that identifies accounts; whether a file has accounts, entitlements or memberships
    parts, cells    the sections of the mapping; how columns are parsed as times and booleans
    written    TOML with a reason for each line
"""

from whohas.ingest.proposals.propose import Proposal, propose, propose_from_profiles
from whohas.ingest.proposals.several import SeveralSystems

__all__ = ["Proposal", "SeveralSystems", "propose", "propose_from_profiles"]
