"""Lookup of formats, collected from `FORMATS` of each module of this package."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

import whohas.formats
from whohas.errors import InvalidArguments
from whohas.formats.base import Format

PUBLISHED = ("csv", "pdf")
"""Names of the formats of the published API."""


@cache
def formats() -> Mapping[str, Format]:
    """Return all formats by name, those of the published API first."""
    modules = (
        importlib.import_module(f"{whohas.formats.__name__}.{module.name}")
        for module in pkgutil.iter_modules(whohas.formats.__path__)
    )
    found: list[Format] = [item for module in modules for item in getattr(module, "FORMATS", ())]
    order = {name: number for number, name in enumerate(PUBLISHED)}
    return {item.name: item for item in sorted(found, key=lambda item: (order.get(item.name, len(order)), item.name))}


def find_format(name: str) -> Format:
    """Return the format of a name, without regard to case.

    Raises:
        InvalidArguments: no format has this name.
    """
    found = formats().get(name.strip().lower())
    if found is None:
        raise InvalidArguments(f"There is no format {name[:40]!r}. The formats are: {', '.join(formats())}.")
    return found


def media_type_of(name: str, csv_media_type: str) -> str:
    """Return the media type with which a file of a format is served.

    Args:
        name: the name of the format.
        csv_media_type: that of CSV, which a setting of the server names.

    Raises:
        InvalidArguments: no format has this name.
    """
    format = find_format(name)
    return csv_media_type if format.name == "csv" else format.media_type
