"""Everything that whohas refuses or cannot do, as one small hierarchy.

::

    WhohasError
    ├── InvalidArguments   the caller asked for something that cannot be: 400
    │   ├── TooLarge       a body beyond the size limit: 413
    │   └── WrongUsage     a command that cannot be meant so: exit code 2
    ├── Unauthorized       no valid token, or wrong client credentials: 401
    ├── Forbidden          known, but without the right: 403
    ├── NotFound           no such run, file, source or report: 404
    ├── Conflict           the state forbids it (another load, another server): 409
    ├── QuotaExceeded      too much at once; `retry_after` seconds later it may go: 429
    └── Unavailable        a part that is needed does not answer: 503

A message says what was wrong, where, and what to do. `http.errors` maps the classes to the wire; the
command line prints the message and exits with 1 (2 for wrong usage).
"""

from __future__ import annotations


class WhohasError(Exception):
    """The root: whatever whohas raises on purpose."""

    @property
    def message(self) -> str:
        return str(self)


class InvalidArguments(WhohasError):
    """What the caller sent is wrong; the message names the part and what would be right."""


class TooLarge(InvalidArguments):
    """A body beyond `Settings.max_body_bytes`."""


class WrongUsage(InvalidArguments):
    """A command line that cannot be carried out as it stands; nothing was done."""


class Unauthorized(WhohasError):
    """No token, a forged or expired one, or client credentials that do not match."""


class Forbidden(WhohasError):
    """A valid caller without the scope that the operation needs."""


class NotFound(WhohasError):
    """Nothing under that id or name."""


class Conflict(WhohasError):
    """The present state does not allow it."""


class QuotaExceeded(WhohasError):
    """A limit of the server is reached.

    Attributes:
        retry_after: whole seconds after which a repeat may succeed.
    """

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(WhohasError):
    """A disk, a database or another part that is needed does not do its work."""
