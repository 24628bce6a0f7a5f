"""Mapping files: what is written is what is read, and what cannot be meant is refused with the file's name."""

from __future__ import annotations

import atexit
import json
import random
import shutil
import tempfile
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzz.drawing import fuzzed
from fuzz.target import Check, measured, single
from whohas.errors import WhohasError
from whohas.ingest import load
from whohas.ingest.mapping import SourceMapping, read_mapping
from whohas.warehouse.store import Warehouse

_ROWS = {
    "accounts.csv": "Badge No;Name;E-Mail;Active;Since;Groups\n1;ann;a@x;1;2024-02-29;a|b\n2;bob;;0;29.02.2024;\n3;;;x;;c\n",
    "groups.csv": "Group;Text\na;A\nb;\n",
    "members.csv": "Badge;Group\n1;a\n2;b\n9;z\n",
    "empty.csv": "",
}


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="whohas-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, text in _ROWS.items():
        (folder / name).write_text(text)
    return folder


def toml(document: dict[str, Any]) -> str:
    """Print a document of sections as TOML."""
    parts: list[str] = []
    for name, section in document.items():
        parts.append(f"[{name}]")
        parts += [
            f"{json.dumps(key)} = {_value(value)}" for key, value in section.items() if not isinstance(value, Table)
        ]
        for key, value in section.items():
            if isinstance(value, Table):
                parts += [f"[{name}.{key}]", *(f"{json.dumps(inner)} = {_value(one)}" for inner, one in value.items())]
    return "\n".join(parts) + "\n"


class Table(dict[str, Any]):
    """A table with a header of its own; other objects are printed in their line."""


def _value(value: Any) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{json.dumps(key)} = {_value(one)}" for key, one in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case str():
            return json.dumps(value).replace("\x7f", "\\u007f")
        case _:
            return json.dumps(value)


# TOML has no half characters, and JSON writes whole ones beyond U+FFFF as two halves
_text = st.text(st.characters(min_codepoint=1, max_codepoint=0xD7FF), min_size=1, max_size=8)
_header = st.sampled_from(("Badge No", "Name", "E-Mail", "Active", "Since", "Groups", "No such column"))
_form = st.lists(
    st.sampled_from(("iso", "%d.%m.%Y", "%Y/%m/%d", "ldap", "%Y-%m-%d %H:%M", "seconds")), min_size=1, max_size=2
)
_time = _header | st.fixed_dictionaries(
    {"column": _header}, optional={"times": _form, "zone": st.sampled_from(("Europe/Berlin", "+01:00", "UTC"))}
)
_boolean = st.builds(lambda column: {"column": column}, _header) | st.fixed_dictionaries(
    {"column": _header}, optional={"not": st.booleans(), "true": st.just(["1", "yes"]), "false": st.just(["0", "x"])}
)
_account_columns = st.fixed_dictionaries(
    {"nativeIdentity": _header},
    optional={
        "name": _header,
        "disabled": _boolean,
        "created": _time,
        "passwordLastSet": _time,
        "privileged": _boolean,
    },
).map(Table)
_accounts = st.fixed_dictionaries(
    {"file": st.just("accounts.csv"), "columns": _account_columns},
    optional={
        "attributes": st.just("*") | st.lists(_header, max_size=3, unique=True),
        "lists": st.dictionaries(_header, st.sampled_from((";", "|", ", ")), max_size=2).map(Table),
        "entitlements": st.lists(_header, max_size=2),
    },
)
_entitlements = st.fixed_dictionaries(
    {"file": st.just("groups.csv"), "columns": st.just(Table({"value": "Group"}))},
    optional={"attributes": st.lists(st.sampled_from(("Text", "x")), max_size=2)},
)
_memberships = st.just({"file": "members.csv", "columns": Table({"account": "Badge", "entitlement": "Group"})})
_source = st.fixed_dictionaries(
    {"name": _text}, optional={"id": _text, "type": _text, "description": _text, "authoritative": st.booleans()}
)
_dialect = st.fixed_dictionaries(
    {},
    optional={
        "delimiter": st.sampled_from((";", ",", "\t", "|")),
        "encoding": st.sampled_from(("utf-8", "cp1252", "utf-16", "ascii")),
        "skip": st.integers(0, 3),
        "footer": st.integers(0, 3),
        "comment": st.sampled_from(("#", "--")),
        "escape": st.just("\\"),
        "short": st.booleans(),
    },
)
_documents = st.fixed_dictionaries(
    {"source": _source, "accounts": _accounts},
    optional={
        "entitlements": _entitlements,
        "memberships": _memberships,
        "csv": _dialect,
        "correlation": st.fixed_dictionaries({"account": _header, "identity": st.just("name")}, optional={"ignoreCase": st.booleans()}),
        "values": st.fixed_dictionaries({}, optional={"empty": st.lists(_text.filter(str.strip), max_size=2), "times": _form}),
        "xlsx": st.fixed_dictionaries({}, optional={"sheet": _text, "skip": st.integers(0, 3)}),
    },
)  # fmt: skip
_PIECES = (
    "[source]\n", "[accounts]\n", "[accounts.columns]\n", "[memberships]\n", "[entitlements]\n", "[csv]\n", "[values]\n",
    "[identities.columns]\n", "[manager]\n", "[correlation]\n", "name", "file", "column", " = ", '"accounts.csv"', '"', "'", '"""',
    "{", "}", "[", "]", "[[source]]\n", ",", "\n", "#", "true", "1", "-1", "nan", "inf", "1e400", "0x10", "9" * 5_000, "[" * 3_000, "x = [" , "a." * 2_000, "1979-05-27",
    "07:32:00", "\\u0000", "\\ud800", "\\U00110000", "\ufeff", "\r", "\0", "a.b.c", '"/"', '"."', '"../"', '"x\\u0000y"', "{a={",
    "columns = ", "nativeIdentity = ", "times = ", '"%"', '"%Y%"', '["epoch"]', "zone = ", '"Europe/"', "encoding = ", '"idna"',
    '"punycode"', '"base64"', '"undefined"', "flag = ", "4611686018427387904", "attributes = ", "lists = ", 'file = "\\u0000"',
)  # fmt: skip


def _read(data: bytes) -> SourceMapping | None:
    path = _folder() / "mapping.toml"
    path.write_bytes(data)
    try:
        return measured(len(data), read_mapping, path)
    except WhohasError as error:
        assert str(path) in error.message, error.message
        return None


def _check_document(document: dict[str, Any]) -> bool:
    read = _read(toml(document).encode())
    if read is None:
        return False
    source, accounts = document["source"], document["accounts"]
    assert (read.name, read.id, read.type, read.description) == tuple(
        source.get(key) for key in ("name", "id", "type", "description")
    )
    assert read.authoritative == source.get("authoritative", False)
    assert read.accounts is not None
    columns = {key: one if isinstance(one, str) else one["column"] for key, one in accounts["columns"].items()}
    assert {key: one.column for key, one in read.accounts.columns.items()} == columns
    assert read.accounts.attributes == (
        None if accounts.get("attributes", "*") == "*" else tuple(accounts["attributes"])
    )
    assert read.accounts.separators == accounts.get("lists", {})
    dialect = document.get("csv", {})
    for key, field, usual in (
        ("delimiter", "delimiter", None),
        ("encoding", "encoding", None),
        ("skip", "skip_lines", 0),
        ("footer", "footer_records", None),
        ("comment", "comment", None),
        ("short", "allow_short_rows", False),
    ):
        assert getattr(read.dialect, field) == dialect.get(key, usual), key
    assert (read.correlation is not None) == ("correlation" in document)
    assert read.sheet.name == document.get("xlsx", {}).get("sheet")
    return True


def _check_text(text: str) -> bool:
    return _read(text.encode("utf-8", "surrogatepass")) is not None


_ODD: tuple[Any, ...] = (
    "", " ", "*", "\x00", "../", "a" * 500, "nativeIdentity", 0, -1, 1, 2**62, 2**70, 1.5, 1e308, True, [], [[]], [1], [""], ["a", "a"], {},
    {"column": ""}, {"column": "Name", "flag": 3}, {"column": "Name", "times": []}, {"column": "Name", "times": ["%"]}, "utf-7", "idna",
    {"column": "Name", "zone": "Europe"}, {"column": 1}, {"x": {"y": []}}, "%Y", ["%d%m%y", "%m%d%y"], ["iso", 1], "attributes.", '"', "\n",
)  # fmt: skip
_KEYS = ("file", "columns", "attributes", "lists", "entitlements", "name", "column", "id", "authoritative", "account", "identity", "footer",
         "delimiter", "encoding", "comment", "escape", "times", "zone", "true", "false", "empty", "managerId", "nativeIdentity", "x")  # fmt: skip
_SECTIONS = ("identities", "manager", "memberships", "entitlements", "correlation", "csv", "xlsx", "values", "x")


def _check_odd(drawn: tuple[dict[str, Any], int]) -> bool:
    """Read documents that are TOML, in which values were replaced by what does not belong there."""
    document, chance = drawn[0], random.Random(drawn[1])
    for _ in range(chance.randint(1, 2)):
        section: Any = document.setdefault(chance.choice((*document, *_SECTIONS)), {})
        while chance.random() < 0.4:
            tables = [value for value in section.values() if isinstance(value, dict) and value]
            if not tables:
                break
            section = chance.choice(tables)
        section[chance.choice((*section, *section, *_KEYS))] = chance.choice(_ODD)
    return _read(toml(document).encode()) is not None


def _check_load(document: dict[str, Any]) -> bool:
    """Load the files with a mapping; what cannot be loaded is refused, and nothing else is raised."""
    if not _check_document(document):
        return False
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        root = Path(folder)
        for name, text in _ROWS.items():
            (root / name).write_text(text)
        (root / "mapping.toml").write_text(toml(document))
        try:
            load(Warehouse(root / "warehouse"), [root / "mapping.toml"], accept_loss=True)
        except WhohasError:
            return False
    return True


def checks() -> tuple[Check, ...]:
    """Return documents with a known meaning, files of any text, and whole loads."""
    return (
        single(_documents, _check_document),
        single(st.tuples(_documents.map(deepcopy), st.integers(0, 2**32)), _check_odd),
        fuzzed(_documents.map(toml), _PIECES, _check_text),
        single(_documents, _check_load),
    )
