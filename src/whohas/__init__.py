"""Who has what? Identity reports that one can run, watch, cancel, download and prove.

`Client` and `AsyncClient` are those of the package `whohas_client`. They are imported when they are first used, so that
commands start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import whohas_client
from whohas_client import __version__

if TYPE_CHECKING:
    from whohas import errors
    from whohas_client import AsyncClient, Client

__all__ = ["AsyncClient", "Client", "__version__", "errors"]


def __getattr__(name: str) -> object:
    if name == "errors":
        return importlib.import_module("whohas.errors")
    if name in ("AsyncClient", "Client"):
        return getattr(whohas_client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
