"""Engines run a report's statement. Here: DuckDB, in the child process of a run."""
