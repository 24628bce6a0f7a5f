"""Engines run the SQL statement of a report. The only one is DuckDB, in the child process of a run."""
