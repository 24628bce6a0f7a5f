"""The arguments of a report: keyword arguments of Python become the names of the published API."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from whohas_client.errors import InvalidArguments

SOURCE_ID: Mapping[str, str] = {"ACCOUNTS": "application", "IDENTITY_PROFILE_IDENTITY_ERROR": "authoritativeSource"}
"""The argument with the id of the source, by the type of each published report on one source."""

SOURCE_NAME = "sourceName"
"""The argument with the name of the source. Published for ACCOUNTS; whohas accepts it instead of the id."""

_WITHOUT_SOURCE = ("IDENTITIES", "IDENTITIES_DETAILS", "ORPHAN_IDENTITIES", "SEARCH_EXPORT", "UNCORRELATED_ACCOUNTS")


def make_arguments(
    arguments: Mapping[str, Any] | None, formats: str | Iterable[str] | None, keywords: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of a start.

    `correlated_only=True` becomes `correlatedOnly`; `correlatedOnly=True` stays, as do all names without an underscore.
    The published `columns` is one text, so a list of columns is joined by commas.

    Args:
        arguments: arguments whose names are sent as they are.
        formats: the formats of the files to make, such as `csv`; None for those that the server makes by default.
        keywords: arguments whose names are converted.

    Raises:
        InvalidArguments: an argument is given twice, or a name is almost that of an option.
    """
    made = dict(arguments or {})
    for name in keywords:
        _check_option(name)
    named = [(published_name(name), value) for name, value in keywords.items()]
    if formats is not None:
        named.append(("selectedFormats", [formats] if isinstance(formats, str) else list(formats)))
    for name, value in named:
        if name in made:
            raise InvalidArguments(f"The argument {name} is given twice. Pass it once.")
        made[name] = value
    if isinstance(made.get("selectedFormats"), list):
        made["selectedFormats"] = [str(format).upper() for format in made["selectedFormats"]]
    if isinstance(made.get("columns"), list | tuple):
        made["columns"] = ",".join(map(str, made["columns"]))
    return made


_OPTIONS = ("arguments", "formats", "report_type", "source")
"""The parameters of `Client.run`."""


def _check_option(name: str) -> None:
    similar = difflib.get_close_matches(name.lower(), _OPTIONS, 1, cutoff=0.8)
    if similar and published_name(name) != SOURCE_NAME:
        raise InvalidArguments(
            f"run has no option {name}. Did you mean {similar[0]}? An argument of a report with that name is passed as "
            f"arguments={{{name!r}: …}}."
        )


def published_name(name: str) -> str:
    """Return the camelCase form of a name: `csv_separator` gives `csvSeparator`."""
    return re.sub(r"(?<=[a-zA-Z0-9])_([a-z0-9])", lambda match: match[1].upper(), name)


def check_source(report_type: str, arguments: Mapping[str, Any]) -> None:
    """Check that a report can be limited to one source by its name.

    Raises:
        InvalidArguments: the report is on all sources, or the arguments name a source already.
    """
    if report_type in _WITHOUT_SOURCE:
        raise InvalidArguments(
            f"{report_type} is a report on all sources and would ignore `source`. Reports on one source are: "
            f"{', '.join(SOURCE_ID)}."
        )
    for name in (*SOURCE_ID.values(), SOURCE_NAME):
        if name in arguments:
            raise InvalidArguments(f"Pass either source or {name}, not both.")
