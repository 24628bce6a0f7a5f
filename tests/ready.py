"""Databases that have their tables already.

To make all tables takes a quarter of a second of processor time, the same for each of a thousand tests. So they are made
once, and copied. That an empty database gets its tables is for other tests: `test_migrations`, and all that begin with a
command.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from whohas.db.engine import create_engine
from whohas.db.migrations import upgrade_schema
from whohas.settings import Settings

_NAME = "whohas.db"


def make_tables(settings: Settings) -> None:
    """Make all tables that a server makes, and let go of the database."""
    settings.make_home()
    database = create_engine(settings.sqlalchemy_url)
    upgrade_schema(database)
    database.dispose()


def ready(home: Path) -> Path:
    """Return a home folder, made if need be, whose SQLite database has its tables if there was none."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (home / _NAME).exists():
        shutil.copyfile(_template() / _NAME, home / _NAME)
    return home


@cache
def _template() -> Path:
    home = Path(tempfile.mkdtemp(prefix="whohas-ready-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    make_tables(Settings(home=home))
    assert not (home / f"{_NAME}-wal").exists(), "a copy of the file alone would lack what is in its log"
    return home
