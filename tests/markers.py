"""Markers that `make` knows."""

APART = frozenset(("client", "engine", "browser", "long", "chaos"))
"""Markers of tests that `make test` leaves to targets of their own."""
