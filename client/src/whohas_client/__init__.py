"""Run reports from Python, on any server that speaks the published Reports Data Extraction API.

::

    from whohas_client import Client

    with Client() as client:
        run = client.run("ACCOUNTS", source="Active Directory")
        run.to("accounts.csv")
        for row in run.rows():
            print(row["name"], row["disabled"])

The server is whohas or a tenant of SailPoint Identity Security Cloud. `AsyncClient` has the same methods as coroutines.
Failures raise the errors of `whohas_client.errors`, with the message and the tracking id of the server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whohas_client import errors
    from whohas_client._async import AsyncClient
    from whohas_client._runs import AsyncRun, Run
    from whohas_client._sync import Client
    from whohas_client.errors import ReportFailed, WhohasError

__version__ = "0.1.0"

__all__ = ["AsyncClient", "AsyncRun", "Client", "ReportFailed", "Run", "WhohasError", "__version__", "errors"]

_MODULES = {
    "AsyncClient": "_async",
    "AsyncRun": "_runs",
    "Client": "_sync",
    "ReportFailed": "errors",
    "Run": "_runs",
    "WhohasError": "errors",
}
"""The module of each public name. They are imported when they are used: the command line of whohas imports this package
for its version and its errors alone, and starts faster without an HTTP client."""


def __getattr__(name: str) -> object:
    if name == "errors":
        return importlib.import_module("whohas_client.errors")
    if name in _MODULES:
        return getattr(importlib.import_module(f"whohas_client.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
