"""Extract a name to show from a distinguished name (RFC 4514).

`CN=Ledger Post,OU=Groups,DC=example` gives "Ledger Post".
"""

from __future__ import annotations

import re

_FIRST = r"(?:CN|OU|O|UID|DC|L|ST|C|STREET|2\.5\.4\.\d+)"
_ALONE = r"(?:CN|OU|UID|2\.5\.4\.\d+)"
_TYPE = r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)"
_VALUE = r'(?:"(?:[^"\\]|\\.)*+"\s*+|[^,;+"<>\\]*+(?:\\.[^,;+"<>\\]*+)*+)'
_PAIR = rf"\s*+{_TYPE}\s*+=\s*+{_VALUE}"
# possessive quantifiers throughout: a long text that is not a name must be rejected without backtracking
_NAME = re.compile(
    rf"\s*+(?:{_ALONE}\s*+=\s*+(?P<only>{_VALUE})|{_FIRST}\s*+=\s*+(?P<value>{_VALUE})(?:[,;+]{_PAIR})++)",
    re.IGNORECASE | re.DOTALL,
)
_ESCAPED = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)

DISTINGUISHED_NAME_PATTERN = rf"(?i)\s*{_FIRST}\s*=.*"
"""Matches every text for which `first_component_value` may return a name; valid in RE2 and Python."""


def first_component_value(text: str) -> str | None:
    r"""Return the value of the first component of a distinguished name, unescaped.

    `CN=Smith\, Ann,OU=Staff` gives "Smith, Ann", `CN=M\C3\BCller,DC=example` gives "Müller".

    Returns:
        None if the text is not a distinguished name, or if its value cannot be shown as text. A single component is
        only accepted with the types CN, OU and UID, because texts such as `c=3` or `o=all` may mean anything.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    value = found["only"] if found["only"] is not None else found["value"]
    if value.startswith("#"):  # an encoded value, not a text
        return None
    value = value.rstrip()[1:-1] if value.startswith('"') else _without_blanks(value)
    if "\\" not in value:
        return value or None
    try:
        return _ESCAPED.sub(_unescaped, value) or None
    except UnicodeDecodeError:
        return None


def _without_blanks(value: str) -> str:
    """Remove the blanks at the end, but not one that a backslash escapes."""
    short = value.rstrip()
    backslashes = len(short) - len(short.rstrip("\\"))
    return value[: len(short) + 1] if backslashes % 2 and len(short) < len(value) else short


def _unescaped(found: re.Match[str]) -> str:
    return bytes.fromhex(found[1].replace("\\", "")).decode("utf-8") if found[1] else found[2]
