"""Values are kept for as long as they may be: until a commit, until they are old, until there are too many."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Generator
from pathlib import Path
from threading import Thread

import pytest
import sqlalchemy as sa

from patience import PATIENCE_SECONDS
from whohas.db.cache import Cache, cache_until_commit
from whohas.db.engine import create_engine


@pytest.fixture
def database(tmp_path: Path) -> Generator[sa.Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/answers.db")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE word (word TEXT)"))
        connection.execute(sa.text("INSERT INTO word VALUES ('first')"))
    yield engine
    engine.dispose()


class Asked:
    """Answers about the word in a database, and how often it was asked for."""

    def __init__(self, database: sa.Engine, size: int = 100) -> None:
        self.database = database
        self.answers: Cache[str] = cache_until_commit(database, size)
        self.times = 0

    def word(self, question: int = 0) -> str:
        return self.answers.get(question, self._ask)

    def _ask(self) -> str:
        self.times += 1
        with self.database.connect() as connection:
            return connection.execute(sa.text("SELECT word FROM word")).scalar_one()


def change(database: sa.Engine, word: str) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE word SET word = :word"), {"word": word})


def test_it_is_asked_once_while_nothing_is_written(database: sa.Engine) -> None:
    asked = Asked(database)
    assert [asked.word() for _ in range(5)] == ["first"] * 5
    assert asked.times == 1


def test_whoever_writes_is_seen_by_the_next_question(database: sa.Engine) -> None:
    asked = Asked(database)
    assert asked.word() == "first"
    change(database, "second")
    assert asked.word() == "second"
    other = sqlite3.connect(str(database.url.database))
    other.execute("UPDATE word SET word = 'third'")
    assert asked.word() == "second"  # it is not committed
    other.commit()
    other.close()
    assert asked.word() == "third"
    assert asked.times == 3


def test_a_change_while_it_is_asked_is_not_lost(database: sa.Engine) -> None:
    asked = Asked(database)

    def overtaken() -> str:
        old = asked._ask()
        change(database, "second")
        return old

    assert asked.answers.get(0, overtaken) == "first"
    assert asked.word() == "second"


def test_a_failure_is_not_kept(database: sa.Engine) -> None:
    asked = Asked(database)

    def fail() -> str:
        raise ValueError("none")

    with pytest.raises(ValueError, match="none"):
        asked.answers.get(0, fail)
    assert asked.word() == "first"


def test_no_more_are_kept_than_may_be(database: sa.Engine) -> None:
    asked = Asked(database, size=3)
    for question in (0, 1, 2, 2, 0):
        asked.word(question)
    assert asked.times == 3
    for question in (3, 3, 0, 2, 1):  # 1 was not asked for longest
        asked.word(question)
    assert asked.times == 5


def test_after_the_engine_was_disposed_of_it_is_asked_anew(database: sa.Engine) -> None:
    asked = Asked(database)
    asked.word()
    database.dispose()
    assert asked.word() == "first"
    assert asked.times == 2


def test_a_cached_answer_is_never_older_than_its_question(database: sa.Engine) -> None:
    asked = Asked(database)
    stale: list[tuple[int, int]] = []
    newest = 0
    change(database, "0")

    def ask() -> None:
        while newest < 200:
            at_least = newest
            if (got := int(asked.word())) < at_least:
                stale.append((at_least, got))

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 201):
        change(database, str(number))
        newest = number
    for thread in threads:
        thread.join()
    assert not stale
    assert asked.times > 1


def test_a_value_is_made_again_once_it_is_too_old() -> None:
    cache: Cache[int] = Cache(1, seconds=PATIENCE_SECONDS)
    made = itertools.count().__next__
    assert [cache.get("a", made), cache.get("a", made)] == [0, 0]
    time.sleep(0.01)
    assert cache.get("a", made, seconds=0.01) == 1
    assert cache.get("a", made) == 1
    assert cache.get("a", made, seconds=0) == 2


def test_a_value_computed_while_the_cache_is_cleared_is_dropped() -> None:
    cache: Cache[str] = Cache(10)

    def make() -> str:
        cache.clear()
        return "old"

    assert cache.get("a", make) == "old"
    assert cache.get("a", lambda: "new") == "new"


def test_another_version_drops_every_entry() -> None:
    version = 1
    cache: Cache[int] = Cache(10, version=lambda: version)
    assert [cache.get(key, lambda: version) for key in "ab"] == [1, 1]
    version = 2
    assert [cache.get(key, lambda: version) for key in "ab"] == [2, 2]


def test_nothing_is_kept_without_room() -> None:
    cache: Cache[int] = Cache(0)
    assert [cache.get("a", lambda number=number: number) for number in (1, 2)] == [1, 2]


def test_a_value_may_be_none() -> None:
    cache: Cache[int | None] = Cache(1)
    assert cache.get("a", lambda: None) is None
    assert cache.get("a", lambda: 1) is None


def test_values_are_dropped_by_their_weight() -> None:
    cache: Cache[str] = Cache(5, weigh=len)
    for text in ("aa", "bb", "ccc"):
        cache.get(text[0], lambda text=text: text)
    assert [cache.get(key, lambda: "") for key in "bc"] == ["bb", "ccc"]
    assert cache.get("d", lambda: "longer than all") == cache.get("d", lambda: "") == "longer than all"
    assert cache.get("c", lambda: "") == ""
