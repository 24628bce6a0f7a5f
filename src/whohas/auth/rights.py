"""The words of who may do what: scopes of a token, levels of a user, and the caller who has them.

The names are the contract's. A scope says what a token may be used for, a level what its user may do at all;
`sp:scopes:all` and `sp:scopes:default` leave a token everything that its holder may do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from whohas.errors import InvalidArguments

ALL = "sp:scopes:all"
DEFAULT = "sp:scopes:default"
MANAGE = "sp:report:manage"
READ = "sp:report:read"
TASKS_READ = "idn:task-management:read"
TASKS_WRITE = "idn:task-management:write"
# as they were called until October 2024; clients that ask for them by name still do
OLD_CREATE = "sp:report:create"
OLD_RESULT = "sp:report-result:read"
OLD_DELETE = "sp:report:delete"

known_scopes = (ALL, DEFAULT, MANAGE, READ, TASKS_READ, TASKS_WRITE, OLD_CREATE, OLD_RESULT, OLD_DELETE)
"""The scopes that a client can be given."""


class Level(StrEnum):
    """What a user is, in the published API's words."""

    ORG_ADMIN = "ORG_ADMIN"
    REPORT_ADMIN = "REPORT_ADMIN"
    CERT_ADMIN = "CERT_ADMIN"
    ROLE_ADMIN = "ROLE_ADMIN"
    ROLE_SUBADMIN = "ROLE_SUBADMIN"
    SOURCE_ADMIN = "SOURCE_ADMIN"
    SOURCE_SUBADMIN = "SOURCE_SUBADMIN"
    HELPDESK = "HELPDESK"


SEES_ALL = frozenset({Level.ORG_ADMIN, Level.REPORT_ADMIN})
"""Who sees every run; everybody else sees those that they started."""

OF_SOURCES = frozenset({Level.SOURCE_ADMIN, Level.SOURCE_SUBADMIN})
"""Who has no other level than these (and HELPDESK) is held to their own sources."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call.

    Attributes:
        id: whose runs they are: the user in a user's context, else the client; 32 lower-case hex digits.
        name: what a run that they start names as launcher.
        client: the client whose limits the call counts against.
        sources: ids of the sources that a source administrator is held to.
        user: whether a user stands behind the call, with a personal client or signed in, and not a program.
    """

    id: str
    name: str
    scopes: frozenset[str]
    levels: frozenset[Level]
    client: str
    sources: frozenset[str] = frozenset()
    user: bool = False

    @property
    def sees_all(self) -> bool:
        """Whether other people's runs are theirs to see."""
        return bool(self.levels & SEES_ALL)

    @property
    def held_to_sources(self) -> bool:
        """Whether they may only have reports on their own sources."""
        return bool(self.levels & OF_SOURCES) and self.levels <= OF_SOURCES | {Level.HELPDESK}


def checked_scopes(names: Iterable[str]) -> tuple[str, ...]:
    """Scopes for a new client, each once.

    Raises:
        InvalidArguments: a name is unknown, or there is none.
    """
    return _checked(names, known_scopes, "scope")


def checked_levels(names: Iterable[str]) -> tuple[Level, ...]:
    """Levels for a new client or user, each once; none is the least that one can be.

    Raises:
        InvalidArguments: a name is unknown.
    """
    given = tuple(names)
    return tuple(Level(name) for name in _checked(given, tuple(Level), "level")) if given else ()


def checked_name(name: str, whose: str) -> str:
    """A name that a run may show as its launcher.

    Raises:
        InvalidArguments: it is empty, too long or has control characters.
    """
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise InvalidArguments(f"A {whose}'s name has 1 to 200 printable characters; it is what runs name as launcher.")
    return name


def _checked(names: Iterable[str], known: tuple[str, ...], what: str) -> tuple[str, ...]:
    given = tuple(dict.fromkeys(names))
    unknown = [name for name in given if name not in known]
    if unknown or not given:
        wrong = f"There is no {what} {', '.join(map(repr, unknown))}." if unknown else f"It needs a {what}."
        raise InvalidArguments(f"{wrong} Choose from {', '.join(known)}.")
    return given
