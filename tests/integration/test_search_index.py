"""The search index: when it is made, what it is made of, and what happens to old ones."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from factories import publish
from searching import Corpus
from whohas.errors import NotFound, Unavailable
from whohas.ingest import load
from whohas.search import index
from whohas.search.fields import INDICES
from whohas.search.index import build_index, is_built, newest_indexed_snapshot, open_index, searchable_snapshot
from whohas.warehouse.store import Snapshot, Warehouse

SOURCES = [{"id": "hr", "name": "HR", "authoritative": True}, {"id": "ad", "name": "AD", "authoritative": False}]
PEOPLE = [{"id": id, "name": id, "displayName": id.upper(), "sourceId": "hr"} for id in ("ann", "bob")]
ACCOUNTS = [{"id": "1", "nativeIdentity": "ann-ad", "name": "ann", "sourceId": "ad", "identityId": "ann"}]


def folders(warehouse: Warehouse) -> list[str]:
    return sorted(path.name for path in (warehouse.root / "search").iterdir() if path.is_dir())


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse")


def test_the_first_search_makes_a_small_index(warehouse: Warehouse) -> None:
    snapshot = publish(warehouse, SOURCES, ACCOUNTS, PEOPLE)
    assert not is_built(snapshot)
    assert searchable_snapshot(warehouse) == snapshot
    assert is_built(snapshot)
    assert open_index(snapshot).element(INDICES["identities"], "accounts").rows == 1


def test_an_empty_warehouse_can_be_searched(warehouse: Warehouse) -> None:
    snapshot = searchable_snapshot(warehouse)
    assert snapshot.number == 0
    assert {element.rows for element in open_index(snapshot).elements.values()} == {0}


def test_a_large_warehouse_is_searched_as_of_its_newest_index(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "MAX_ROWS_INDEXED_BY_SEARCH", 1)
    publish(warehouse, SOURCES, ACCOUNTS, PEOPLE)
    with pytest.raises(Unavailable, match="not there yet"):
        searchable_snapshot(warehouse)
    build_index(warehouse, warehouse.snapshot())
    publish(warehouse, SOURCES, ACCOUNTS, PEOPLE[:1])
    assert searchable_snapshot(warehouse).number == 1


def test_what_has_not_changed_is_linked(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, [{"id": "a", "name": "amy"}], roles=[{"id": "r1", "name": "One"}])
    old = open_index(corpus.warehouse.snapshot())
    data = tmp_path / "more"
    data.mkdir()
    (data / "roles.ndjson").write_text(json.dumps({"id": "r2", "name": "Two"}) + "\n")
    load(corpus.warehouse, [data], accept_loss=True)
    new = open_index(searchable_snapshot(corpus.warehouse))

    def file(one: index.SearchIndex, name: str) -> int:
        return one.elements[name, ""].files[name].stat().st_ino

    assert old.snapshot != new.snapshot
    assert file(old, "identities") == file(new, "identities")
    assert file(old, "roles") != file(new, "roles")
    assert new.elements["roles", ""].rows == 1


def test_accounts_follow_when_identities_are_numbered_anew(tmp_path: Path) -> None:
    def account(id: str) -> dict[str, Any]:
        return {"id": id, "accountId": id, "name": id, "source": {"id": "s", "name": "S"}}

    corpus = Corpus(tmp_path / "a", [{"id": "m", "name": "moe", "accounts": [account("x1")]}])
    data = tmp_path / "more"
    data.mkdir()
    people = [{"id": "a", "name": "amy"}, {"id": "m", "name": "moe", "accounts": [account("x1")]}]
    (data / "identities.ndjson").write_text("".join(json.dumps(one) + "\n" for one in people))
    load(corpus.warehouse, [data], accept_loss=True)
    corpus.open()
    assert corpus.ids("@accounts(name:x1)") == {"m"}


def test_old_indexes_go_and_a_search_on_one_says_so(warehouse: Warehouse) -> None:
    snapshots: list[Snapshot] = []
    for _ in range(5):
        snapshots.append(publish(warehouse, SOURCES, ACCOUNTS, PEOPLE))
        build_index(warehouse, snapshots[-1])
    assert folders(warehouse) == ["000000003", "000000004", "000000005"]
    assert newest_indexed_snapshot(warehouse) == 5
    with pytest.raises(NotFound, match="snapshot 1 is gone"):
        open_index(snapshots[0])


def test_what_a_stopped_indexer_left_does_not_count(warehouse: Warehouse) -> None:
    snapshot = publish(warehouse, SOURCES, ACCOUNTS, PEOPLE)
    left = warehouse.root / "search" / "000000001.part"
    left.mkdir(parents=True)
    (left / "identities.parquet").write_text("half")
    assert not is_built(snapshot)
    build_index(warehouse, snapshot)
    assert folders(warehouse) == ["000000001"]
    assert open_index(snapshot).elements["identities", ""].rows == 2


def test_an_index_that_cannot_be_made_leaves_nothing(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = publish(warehouse, SOURCES, ACCOUNTS, PEOPLE)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("whohas.search.indexing.pq.ParquetWriter", full)
        with pytest.raises(Unavailable, match="is the disk full"):
            build_index(warehouse, snapshot)
    assert folders(warehouse) == []
    build_index(warehouse, snapshot)
    assert is_built(snapshot)


def test_two_that_make_the_same_index_make_it_once(warehouse: Warehouse) -> None:
    snapshot = publish(warehouse, SOURCES, ACCOUNTS, PEOPLE)
    told: list[int] = []
    threads = [
        threading.Thread(target=build_index, args=(warehouse, snapshot, lambda done, of: told.append(done)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders(warehouse) == ["000000001"]
    assert told == sorted(told)


def test_attributes_are_fields_with_the_values_that_they_have(tmp_path: Path) -> None:
    people = [
        {"id": "a", "name": "amy", "attributes": {"city": "Bonn", "skills": ["go", "sql"], "odd name: \"x\"": "1"}},
        {"id": "b", "name": "bob", "attributes": {"city": "", "level": 3}},
        {"id": "c", "name": "cyd"},
    ]  # fmt: skip
    corpus = Corpus(tmp_path, people)
    fields = corpus.index.element(INDICES["identities"]).fields
    attributes = {name: one.multi_valued for name, one in fields.items() if name.startswith("attributes.")}
    assert attributes == {
        "attributes.city": False,
        "attributes.level": False,
        'attributes.odd name: "x"': False,
        "attributes.skills": True,
    }
    assert corpus.ids("attributes.skills:sql") == {"a"}
    assert corpus.ids(r"attributes.odd\ name\:\ \"x\":1") == {"a"}
    assert corpus.ids("attributes.level:3") == {"b"}
    assert corpus.ids("_exists_:attributes.city") == {"a", "b"}


def test_attributes_whose_names_differ_by_case_alone_stay_apart(tmp_path: Path) -> None:
    odd = {
        "Mail": "x",
        "mail": "y",
        "MAIL": "z",
        "mail:words": "w",
        "": "e",
        'q"uote': "1",
        "new\nline": "2",
        "a.b": "3",
    }
    account = {"id": "x", "accountId": "x", "name": "x", "source": {"id": "s", "name": "S"}, "accountAttributes": odd}
    amy = {"id": "a", "name": "amy", "attributes": odd, "accounts": [account]}
    corpus = Corpus(tmp_path, [amy, {"id": "b", "name": "bob"}])
    found = [
        corpus.ids(query)
        for query in (
            "attributes.Mail:x", "attributes.mail:y", "attributes.MAIL:z", r"attributes.mail\:words:w", "attributes.:e",
            r"attributes.q\"uote:1", "attributes.new\\\nline:2", "attributes.a.b:3",
        )
    ]  # fmt: skip
    assert found == [{"a"}] * len(odd)
    assert corpus.ids("attributes.Mail:y") == set()
    columns = tuple(f"attributes.{name}" for name in odd if name)
    (row,) = corpus.search("id:a", columns=columns, sort=("attributes.mail",))
    assert list(row.values()) == [value for name, value in odd.items() if name]
    columns = ("accounts.accountAttributes.Mail", "accounts.accountAttributes.mail", "accounts.spread")
    (row,) = corpus.search("@accounts(accountAttributes.mail:y)", columns=columns)
    assert list(row.values())[:2] == ["x", "y"]
    (row,) = corpus.search("id:a", columns=columns[:2])
    assert list(row.values()) == [["x"], ["y"]]


def test_of_very_many_attributes_those_that_most_have_are_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whohas.search.indexing.MOST_ATTRIBUTES", 2)
    people = [
        {"id": "a", "name": "amy", "attributes": {"one": "1", "two": "2", "three": "3"}},
        {"id": "b", "name": "bob", "attributes": {"two": "2", "three": "3"}},
    ]
    corpus = Corpus(tmp_path, people)
    assert corpus.ids("attributes.two:2") == {"a", "b"}
    assert [note.category for note in corpus.ask("attributes.one:1").notes] == ["field"]


def test_an_index_of_another_format_is_made_again(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = publish(warehouse, SOURCES, ACCOUNTS, PEOPLE)
    build_index(warehouse, snapshot)
    monkeypatch.setattr(index, "INDEX_FORMAT", index.INDEX_FORMAT + 1)
    assert not is_built(snapshot)
    assert newest_indexed_snapshot(warehouse) is None
    assert searchable_snapshot(warehouse) == snapshot
    assert is_built(snapshot)


def test_the_published_fields_are_all_there(shared: Path) -> None:
    """Section 4 of search.md lists them; one is known not to be kept."""
    import re

    names: dict[str, list[str]] = {}
    current = ""
    for line in (shared / "contract" / "search.md").read_text().splitlines():
        if found := re.match(r"### (\w+) \(\d+\)", line):
            current = found[1]
        elif current and line.startswith("`"):
            names[current] = re.findall(r"`([^`]+)` (?!array<object>)[\w<>]+", line)
            current = ""
    missing: list[str] = []
    for name, fields in names.items():
        elements = INDICES[name].elements
        for one in fields:
            parts = one.split("[].")
            places = [(".".join(parts[:n]), ".".join(parts[n:])) for n in range(len(parts))]
            if not any(
                path in elements
                and (
                    rest in elements[path].fields
                    or (rest.endswith(".*") and rest.removesuffix(".*") in elements[path].map_columns)
                )
                for path, rest in places
            ):
                missing.append(f"{name}: {one}")
    assert len(names) == 6
    assert missing == ["identities: owns[].fallbackApprover"]
