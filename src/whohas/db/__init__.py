"""The database: engine, locks, caches, outbox and migrations."""
