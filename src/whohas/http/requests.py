"""Reads what callers send: lenient about headers and spelling, exact about what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, NoReturn, cast

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from whohas.errors import InvalidArguments, NotFound
from whohas.render.registry import find, formats

DEEPEST = 32
"""Levels of nesting in a body; the contract's bodies have four."""

RUN_ID = re.compile(r"[0-9a-f]{32}")


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object, whatever the headers call it.

    Raises:
        InvalidArguments: empty, no JSON, no object, or with what JSON leaves undefined: a key twice, numbers
            that are none, half a character; the message says where.
        TooLarge: beyond the limit.
    """
    return parse_object(await request.body())


async def json_value(request: Request) -> object:
    """The body as any JSON value, read with the same care."""
    return parse_value(await request.body())


def parse_object(body: bytes) -> dict[str, Any]:
    """The same as `json_object`, of bytes at hand."""
    value = parse_value(body)
    if not isinstance(value, dict):
        raise InvalidArguments(f"The body must be a JSON object, not {_kind(value)}.")
    return cast("dict[str, Any]", value)


def parse_value(body: bytes) -> object:
    """The JSON value of a body. Bytes that are not UTF-8 are read as ISO-8859-1, which PowerShell may send."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    if not text.strip():
        raise InvalidArguments("The body is empty. It must be a JSON object.")
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        raise InvalidArguments(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise InvalidArguments(_TOO_DEEP) from None
    _check(value)
    return value


_TOO_DEEP = f"The body is nested more than {DEEPEST} levels deep."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidArguments(f"The body has the key {twice[:60]!r} twice in one object. Send it once.")
    return found


def _no_number(name: str) -> NoReturn:
    raise InvalidArguments(f"The body has {name}, which is no JSON. Leave it out or send null.")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise InvalidArguments(f"The body has the number {digits[:40]}, which is too large.")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 40:
        raise InvalidArguments(f"The body has a number of {len(digits):,} digits, which is too large.")
    return int(digits)


def _check(value: object) -> None:
    level: list[object] = [value]
    for _ in range(DEEPEST):
        level = [part for item in level for part in _parts(item)]
        if not level:
            return
    raise InvalidArguments(_TOO_DEEP)


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return [*entries, *entries.values()]
    if isinstance(value, list):
        return cast("list[object]", value)
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        raise InvalidArguments("The body has a NUL or half a surrogate pair in a text. Send whole characters.")
    return ()


def _kind(value: object) -> str:
    kinds: dict[type, str] = {list: "an array", str: "a text", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def run_id(text: str) -> str:
    """A run's id as the path has it.

    Raises:
        NotFound: it has not the form of one, so there is no such run.
    """
    if not RUN_ID.fullmatch(text):
        raise NotFound(f"There is no run with the id {text[:64]!r}. An id is 32 lower-case hex digits.")
    return text


def read_flag(value: object) -> bool:
    """A boolean of a query: `true` from most clients, `True` from PowerShell."""
    match str(value).strip().lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            raise PydanticCustomError(
                "flag", "it must be true or false, not {value}.", {"value": repr(str(value)[:60])}
            )


def read_format(value: object) -> str:
    """A file format of a query, in either case; one that can be made."""
    try:
        return find(str(value)).name
    except InvalidArguments:
        known = ", ".join(formats())
        raise PydanticCustomError(
            "format", "it must be one of {known}; not {value}.", {"known": known, "value": repr(str(value)[:60])}
        ) from None


Flag = Annotated[bool, BeforeValidator(read_flag)]
Format = Annotated[str, BeforeValidator(read_format)]
