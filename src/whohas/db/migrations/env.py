"""Alembic's environment script: runs the migrations on the connection that `migrations.upgrade_schema` passes in.

`upgrade` owns the transaction and the lock, so nothing is begun, committed or closed here.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
