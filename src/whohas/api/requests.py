"""Parsing of request bodies, run ids and query parameters.

It is lenient about headers, upper and lower case and encodings, because clients differ in them, and strict about JSON.
Messages say what is wrong and where.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, NoReturn, cast

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from whohas.errors import InvalidArguments, NotFound
from whohas.formats.registry import find_format, formats

MAX_NESTING = 32
"""The most levels of nesting in a JSON body; the bodies of the contract have four."""

RUN_ID_PATTERN = re.compile(r"[0-9a-f]{32}")


async def json_object(request: Request) -> dict[str, Any]:
    """Return the body of a request as a JSON object, whatever its Content-Type; a FastAPI dependency.

    Raises:
        InvalidArguments: the body is empty, not JSON, or not an object, or has a key twice in one object, NaN, Infinity
            or a number that is too large, NUL or a single surrogate, or too many levels of nesting.
        TooLarge: the body is longer than the limit of the server.
    """
    return parse_object(await request.body())


async def json_value(request: Request) -> object:
    """Return the body of a request as any JSON value; otherwise like `json_object`."""
    return parse_value(await request.body())


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse bytes as a JSON object; `json_object` lists the errors."""
    if not body.strip():
        raise InvalidArguments("The body is empty. It must be a JSON object.")
    value = parse_value(body)
    if not isinstance(value, dict):
        raise InvalidArguments(f"The body must be a JSON object, not {_kind(value)}.")
    return cast("dict[str, Any]", value)


def parse_value(body: bytes) -> object:
    """Parse bytes as a JSON value; `json_object` lists the errors.

    Bytes that are not UTF-8 are decoded as ISO-8859-1, which older versions of PowerShell send. A byte order mark is
    ignored.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    if not text.strip():
        raise InvalidArguments("The body is empty. It must be JSON.")
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


_TOO_DEEP = f"The body is nested more than {MAX_NESTING} levels deep. Send it with fewer levels."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidArguments(f"The body has the key {twice[:60]!r} twice in one object. Send it once.")
    return members


def _no_number(name: str) -> NoReturn:
    raise InvalidArguments(f"The body has {name}, which is no JSON. Leave it out or send null.")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise InvalidArguments(f"The body has the number {digits[:40]}, which is too large. Send a smaller one.")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 40:
        raise InvalidArguments(
            f"The body has a number of {len(digits):,} digits, which is too large. Send one of 40 digits at most."
        )
    return int(digits)


def _check(value: object) -> None:
    """Check depth and texts level by level rather than by recursion, which deep nesting would exhaust."""
    level: list[object] = [value]
    for _ in range(MAX_NESTING):
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


def validate_run_id(text: str) -> str:
    """Return the run id of a path unchanged.

    Raises:
        NotFound: the id is malformed: it is not 32 lower-case hex digits.
    """
    if not RUN_ID_PATTERN.fullmatch(text):
        raise NotFound(f"There is no run with the id {text[:64]!r}. An id is 32 lower-case hex digits.")
    return text


def parse_bool(value: object) -> bool:
    """Parse a boolean query parameter: true, false, 1 or 0 in any case; PowerShell sends `True`.

    Raises:
        PydanticCustomError: it is another text; FastAPI makes it a 400.
    """
    match str(value).strip().lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            raise PydanticCustomError(
                "flag", "it must be true or false, not {value}.", {"value": repr(str(value)[:60])}
            )


def parse_file_format(value: object) -> str:
    """Parse a file format query parameter in any case, and return the name of the format, such as `csv`.

    Raises:
        PydanticCustomError: there is no such format; FastAPI makes it a 400.
    """
    try:
        return find_format(str(value)).name
    except InvalidArguments:
        known = ", ".join(formats())
        raise PydanticCustomError(
            "format", "it must be one of {known}; not {value}.", {"known": known, "value": repr(str(value)[:60])}
        ) from None


BoolParameter = Annotated[bool, BeforeValidator(parse_bool)]
FileFormatParameter = Annotated[str, BeforeValidator(parse_file_format)]
