"""Errors of the warehouse that its callers tell apart."""

from __future__ import annotations

from whohas.errors import Conflict


class Superseded(Conflict):
    """Another load has published since this load began, so its rows must be derived again from the newer snapshot."""
