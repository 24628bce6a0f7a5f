"""The exceptions that whohas raises on purpose, with the HTTP status or exit code of each.

::

    WhohasError
    ├── InvalidArguments   invalid input: 400
    │   ├── TooLarge       a request body beyond the size limit: 413
    │   └── WrongUsage     a command line that makes no sense: exit code 2
    ├── Unauthorized       no valid token, or wrong client credentials: 401
    ├── Forbidden          a valid caller without the permission: 403
    ├── NotFound           no such run, file, source or report: 404
    ├── Conflict           the present state does not allow it (another load, another server): 409
    ├── QuotaExceeded      a limit is reached; retry after `retry_after` seconds: 429
    └── Unavailable        a disk, a database or another dependency fails: 503

A message says what was wrong, where, and what to do. `api.errors` maps the classes to HTTP responses; the command
line prints the message and exits with 1 (2 for wrong usage).
"""

from __future__ import annotations


class WhohasError(Exception):
    """The base class of all errors that whohas raises on purpose."""

    @property
    def message(self) -> str:
        return str(self)


class InvalidArguments(WhohasError):
    """Invalid input from the caller; the message names the part that is wrong and a correct form."""


class TooLarge(InvalidArguments):
    """A request body longer than `Settings.max_body_bytes`."""


class WrongUsage(InvalidArguments):
    """A command line that cannot be executed as typed; nothing was done."""


class Unauthorized(WhohasError):
    """No token, a forged or expired one, or client credentials that do not match."""


class Forbidden(WhohasError):
    """A valid caller without the scope that the operation needs."""


class NotFound(WhohasError):
    """No object with that id or name, or none that the caller may see."""


class Conflict(WhohasError):
    """The operation is valid, but the present state does not allow it."""


class QuotaExceeded(WhohasError):
    """A limit of the server is reached, such as the number of queued runs.

    Attributes:
        retry_after: whole seconds after which a retry may succeed.
    """

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(WhohasError):
    """A disk, a database or another dependency is missing, unreachable or failing."""
