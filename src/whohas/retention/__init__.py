"""Retention: delete files, runs and snapshots that are older than a limit, except under a legal hold."""
