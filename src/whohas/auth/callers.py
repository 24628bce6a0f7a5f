"""Scopes, user levels, and the authenticated caller who has them.

The names are those of the published API. A scope limits what a token may be used for, a level what its user may do
with any token; a call must be allowed by both. `sp:scopes:all` and `sp:scopes:default` do not limit a token.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from whohas.errors import InvalidArguments

SCOPE_ALL = "sp:scopes:all"
SCOPE_DEFAULT = "sp:scopes:default"
SCOPE_MANAGE = "sp:report:manage"
SCOPE_READ = "sp:report:read"
TASKS_READ = "idn:task-management:read"
TASKS_WRITE = "idn:task-management:write"
# names of the published API until October 2024; older clients still request them
OLD_CREATE = "sp:report:create"
OLD_RESULT = "sp:report-result:read"
OLD_DELETE = "sp:report:delete"

known_scopes = (
    SCOPE_ALL,
    SCOPE_DEFAULT,
    SCOPE_MANAGE,
    SCOPE_READ,
    TASKS_READ,
    TASKS_WRITE,
    OLD_CREATE,
    OLD_RESULT,
    OLD_DELETE,
)
"""All scopes that a client or a token may have."""


class UserLevel(StrEnum):
    """The user levels of the published API: what a user or an application may do, whatever the token."""

    ORG_ADMIN = "ORG_ADMIN"
    REPORT_ADMIN = "REPORT_ADMIN"
    CERT_ADMIN = "CERT_ADMIN"
    ROLE_ADMIN = "ROLE_ADMIN"
    ROLE_SUBADMIN = "ROLE_SUBADMIN"
    SOURCE_ADMIN = "SOURCE_ADMIN"
    SOURCE_SUBADMIN = "SOURCE_SUBADMIN"
    HELPDESK = "HELPDESK"


SEES_ALL_LEVELS = frozenset({UserLevel.ORG_ADMIN, UserLevel.REPORT_ADMIN})
"""The levels that see every run; all others see only the runs that they started."""

SOURCE_LEVELS = frozenset({UserLevel.SOURCE_ADMIN, UserLevel.SOURCE_SUBADMIN})
"""The levels that are restricted to the sources of the caller, unless the caller also has a level other than these and
HELPDESK. For example SOURCE_ADMIN with HELPDESK is restricted, SOURCE_ADMIN with CERT_ADMIN is not."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated user or application that makes a call.

    Attributes:
        id: the owner of the runs that the caller starts: the id of the user, or of the application if the call is not
            made for a user; 32 lower-case hex digits.
        name: the name of that user or application, shown as the launcher of the runs that it starts.
        scopes: the scopes of the token.
        levels: the levels that the user or application has now.
        client_id: the id of the client whose token it is; the rate limit counts by it.
        sources: ids of the sources that a source administrator is restricted to.
        is_user: whether the call is made for a user, by a personal client or after signing in, and not by an
            application.
    """

    id: str
    name: str
    scopes: frozenset[str]
    levels: frozenset[UserLevel]
    client_id: str
    sources: frozenset[str] = frozenset()
    is_user: bool = False

    @property
    def sees_all(self) -> bool:
        """Whether the caller may see the runs of others."""
        return bool(self.levels & SEES_ALL_LEVELS)

    @property
    def restricted_to_sources(self) -> bool:
        """Whether the caller may only start reports on the sources in `sources` and only see its runs on them."""
        return bool(self.levels & SOURCE_LEVELS) and self.levels <= SOURCE_LEVELS | {UserLevel.HELPDESK}


def validate_scopes(names: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes for a new client without duplicates, in the order of `names`.

    Raises:
        InvalidArguments: a name is unknown, or there are no names.
    """
    return _checked(names, known_scopes, "scope")


def validate_levels(names: Iterable[str]) -> tuple[UserLevel, ...]:
    """Return the levels for a new client or user without duplicates, in the order of `names`.

    No names give no levels, the fewest rights.

    Raises:
        InvalidArguments: a name is unknown.
    """
    requested = tuple(names)
    return tuple(UserLevel(name) for name in _checked(requested, tuple(UserLevel), "level")) if requested else ()


def validate_name(name: str, whose: str) -> str:
    """Return the name of a new client or user without surrounding spaces. Runs show the name of who started them.

    Args:
        name: the name as entered.
        whose: "client" or "user", for the message of the error.

    Raises:
        InvalidArguments: the name is empty, longer than 200 characters, or has characters that cannot be printed.
    """
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise InvalidArguments(f"A {whose}'s name has 1 to 200 printable characters. Choose another name.")
    return name


def _checked(names: Iterable[str], known: tuple[str, ...], kind: str) -> tuple[str, ...]:
    distinct = tuple(dict.fromkeys(names))
    unknown = [name for name in distinct if name not in known]
    if unknown or not distinct:
        wrong = f"There is no {kind} {', '.join(map(repr, unknown))}." if unknown else f"A client needs a {kind}."
        raise InvalidArguments(f"{wrong} Choose from {', '.join(known)}.")
    return distinct
