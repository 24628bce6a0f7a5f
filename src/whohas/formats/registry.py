"""Which formats there are: each module of this package with `FORMATS` brings some."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

import whohas.formats
from whohas.errors import InvalidArguments
from whohas.formats.base import Format

PUBLISHED = ("csv", "pdf")
"""The formats that the published API knows."""


@cache
def formats() -> Mapping[str, Format]:
    """Every format by its name; those of the published API first."""
    modules = (
        importlib.import_module(f"{whohas.formats.__name__}.{module.name}")
        for module in pkgutil.iter_modules(whohas.formats.__path__)
    )
    found: list[Format] = [one for module in modules for one in getattr(module, "FORMATS", ())]
    order = {name: number for number, name in enumerate(PUBLISHED)}
    return {one.name: one for one in sorted(found, key=lambda one: (order.get(one.name, len(order)), one.name))}


def find(name: str) -> Format:
    """The format of a name, in either case.

    Raises:
        InvalidArguments: there is none.
    """
    found = formats().get(name.strip().lower())
    if found is None:
        raise InvalidArguments(f"There is no format {name[:40]!r}. The formats are: {', '.join(formats())}.")
    return found
