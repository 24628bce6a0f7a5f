"""Run the steps on the connection that `migrations.upgrade` hands over; Alembic's commands execute this file.

`upgrade` owns the transaction and the lock, so nothing is begun, committed or closed here.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
