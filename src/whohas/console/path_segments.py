"""Ids of the data in addresses of pages, such as `/console/identities/{id}`.

An id may have any characters. Some cannot be in a path, even escaped: browsers resolve `..` and `%2e%2e`, and servers
and proxies unescape `%2F`, join slashes, and drop one at the end. An id with other characters than letters, digits,
`.`, `_` and `-` is therefore written in base64url after a tilde.

Examples: `hr` stays `hr`; `a/b` becomes `~YS9i`; `..` becomes `~Li4`.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_ENCODED: Final = re.compile(r"~[A-Za-z0-9_-]*")


def encode_segment(id: str) -> str:
    """Return an id as a segment of a path; `decode_segment` gives it back."""
    return id if _PLAIN.fullmatch(id) else f"~{urlsafe_b64encode(id.encode()).rstrip(b'=').decode()}"


def decode_segment(segment: str) -> str:
    """Return the id that a segment of a path stands for: what `encode_segment` wrote, or else the segment itself."""
    if not _ENCODED.fullmatch(segment):
        return segment
    try:
        return urlsafe_b64decode(f"{segment[1:]}{'=' * (-len(segment[1:]) % 4)}").decode()
    except (binascii.Error, UnicodeDecodeError):
        return segment
