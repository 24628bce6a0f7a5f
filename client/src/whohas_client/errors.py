"""The exceptions that the client raises on purpose, with the HTTP status of each.

::

    WhohasError
    ├── InvalidArguments      invalid input: 400
    │   └── TooLarge          a request body beyond the size limit: 413
    ├── Unauthorized          no valid token, or wrong client credentials: 401
    ├── Forbidden             a valid caller without the permission: 403
    ├── NotFound              no such run, file, source or report: 404
    ├── Conflict              the present state does not allow it: 409
    ├── QuotaExceeded         a limit is reached; retry after `retry_after` seconds: 429
    ├── Unavailable           the server, the disk or another dependency fails: 503
    │   ├── TimedOut          a run has not ended in time
    │   └── DamagedDownload   a file that is not the one that the server announced
    ├── ReportFailed          a run that failed or was cancelled; `result` has its messages
    └── MissingExtra          an optional library is not installed (also an ImportError)

A message says what was wrong, where, and what to do. Errors of a server carry the server's message and tracking id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whohas_client.contract import ReportResults

_SHOWN = 10
"""Number of ambiguous matches that a message lists."""


class WhohasError(Exception):
    """The base class of all errors that whohas raises on purpose."""

    @property
    def message(self) -> str:
        return str(self)


class InvalidArguments(WhohasError):
    """Invalid input from the caller; the message names the part that is wrong and a correct form."""


class TooLarge(InvalidArguments):
    """A request body that is longer than the server accepts."""


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


class TimedOut(Unavailable):
    """A run that has not ended within the time that the caller allowed; it stays active on the server."""


class DamagedDownload(Unavailable):
    """A downloaded file whose length or SHA-256 is not the one that the server announced; it was thrown away."""


class ReportFailed(WhohasError):
    """A run that ended without files: it failed or was cancelled. The message has those of the run.

    Attributes:
        result: the result of the run, with its status and messages.
    """

    def __init__(self, message: str, result: ReportResults) -> None:
        super().__init__(message)
        self.result = result


class MissingExtra(WhohasError, ImportError):
    """An optional library that is not installed; the message names the command that installs it."""


class ReportWarning(UserWarning):
    """The warning about a run that ended with the status WARNING: its files are complete, its messages say more."""


def ambiguous_id(beginning: str, matches: Sequence[str]) -> InvalidArguments:
    """Return the error for an id prefix that several runs share.

    Args:
        beginning: the prefix that the user typed.
        matches: one line for each run, beginning with its id; the message shows the first ten.
    """
    shown = "".join(f"\n  {match}" for match in matches[:_SHOWN])
    more = "\n  and more" if len(matches) > _SHOWN else ""
    return InvalidArguments(f"Several runs have an id that begins with {beginning!r}; write more of it:{shown}{more}")
