"""The exceptions that whohas raises on purpose, with the HTTP status or exit code of each.

::

    WhohasError
    ├── InvalidArguments   invalid input: 400
    │   ├── TooLarge       a request body beyond the size limit: 413
    │   ├── MissingArgument  a report without an argument that it needs: 400
    │   └── WrongUsage     a command line that makes no sense: exit code 2
    ├── Unauthorized       no valid token, or wrong client credentials: 401
    ├── Forbidden          a valid caller without the permission: 403
    ├── NotFound           no such run, file, source or report: 404
    ├── Conflict           the present state does not allow it (another load, another server): 409
    ├── QuotaExceeded      a limit is reached; retry after `retry_after` seconds: 429
    └── Unavailable        a disk, a database or another dependency fails: 503

A message says what was wrong, where, and what to do. `api.errors` maps the classes to HTTP responses; the command
line prints the message and exits with 1 (2 for wrong usage). Server and client share all but MissingArgument and
WrongUsage, so they are defined in `whohas_client.errors`.
"""

from __future__ import annotations

from whohas_client.errors import (
    Conflict,
    Forbidden,
    InvalidArguments,
    NotFound,
    QuotaExceeded,
    TooLarge,
    Unauthorized,
    Unavailable,
    WhohasError,
)

__all__ = [
    "Conflict",
    "Forbidden",
    "InvalidArguments",
    "MissingArgument",
    "NotFound",
    "QuotaExceeded",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "WhohasError",
    "WrongUsage",
]


class MissingArgument(InvalidArguments):
    """A report without any of the arguments of which it needs one; the message names them."""


class WrongUsage(InvalidArguments):
    """A command line that cannot be executed as typed; nothing was done."""
