"""Proposals: a mapping for somebody's files, made from what their columns are called and hold.

::

    sample     rows from all over a file (arranged: preamble, header, footer)
    profile    counts and shapes of columns, by DuckDB (times, words)
    keys, several   what names the accounts, what each file is
    parts, cells    the sections of the mapping, and how columns are read
    written    TOML with reasons
"""

from whohas.warehouse.intake.propose.propose import Proposal, proposal, propose
from whohas.warehouse.intake.propose.several import NotOneSource

__all__ = ["NotOneSource", "Proposal", "proposal", "propose"]
