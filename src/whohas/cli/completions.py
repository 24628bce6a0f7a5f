"""Completion of the values of arguments and options by a shell: reports, formats, report arguments, runs, schedules.

Each function returns the values that begin with a text, some with their meaning. Failures give no values: a shell has
no place for a message.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer

from whohas.cli.target import LocalTarget, choose_target
from whohas.errors import WhohasError
from whohas_client.profiles import profiles_path

if TYPE_CHECKING:
    from whohas.cli.options import Connection
    from whohas.warehouse.catalog import CatalogSource

_FLAGS = ("correlatedOnly", "csvBom", "csvDisarm", "includeNested", "labels", "phrases")
_SOURCE_NAMES = ("sourceName",)
_SOURCE_IDS = ("application", "authoritativeSource")
_MOST_RUNS = 50
"""The most runs that are offered, the newest ones."""


def complete_reports(incomplete: str) -> list[tuple[str, str]]:
    """Return the report types that begin so, each with its name.

    They are in lower case if the beginning is: shells replace a word only by one that begins exactly so.
    """
    from whohas.reports import all_reports

    in_lower_case = incomplete != "" and incomplete == incomplete.lower()
    found = ((one.type.lower() if in_lower_case else one.type, one.name) for one in all_reports().values())
    return [(type, name) for type, name in found if type.startswith(incomplete)]


def complete_formats(incomplete: str) -> list[tuple[str, str]]:
    """Return the file formats that begin so, each with its description."""
    from whohas.formats.registry import formats

    return [(one.name, one.doc) for one in formats().values() if one.name.startswith(incomplete.lower())]


def complete_indices(incomplete: str) -> list[str]:
    """Return the search indices that begin so."""
    from whohas.search.fields import INDICES

    return [name for name in INDICES if name.startswith(incomplete)]


def complete_fields(context: typer.Context, incomplete: str) -> list[str]:
    """Return the comma-separated columns of a search so far, with each column of the index that the last may become."""
    from whohas.search.fields import INDICES

    index = INDICES.get(context.params.get("index") or "identities")
    return [] if index is None else _last_of_list(incomplete, index.documents.fields)


def complete_arguments(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the arguments of the report of a command line: `NAME=` with its meaning, or `NAME=VALUE` after the `=`.

    Values are offered for arguments with few possible ones, sources and columns. Sources are those of the installation
    of this machine, and of no server.
    """
    from whohas.cli.arguments import parse_report_type
    from whohas.reports import all_reports
    from whohas.runs.output_options import FILE_ARGUMENTS

    # while an option lacks its value, arguments are not assigned to parameters yet
    words = (context.params.get("report_type") or "", *context.args)
    report = next((all_reports()[type] for type in map(parse_report_type, words) if type in all_reports()), None)
    if report is None:
        return []
    name, equals, value = incomplete.partition("=")
    if not equals:
        known = {**report.accepted_arguments, **FILE_ARGUMENTS}
        return [(f"{name}=", meaning) for name, meaning in known.items() if name.startswith(incomplete)]
    values = _values(context, report.type, name, value)
    return [(f"{name}={one}", meaning) for one, meaning in values if one.startswith(value)]


def complete_runs(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the ids of the newest runs that begin so, each with its report, state and time."""
    from whohas.cli.values import format_time

    found: list[tuple[str, str]] = []
    with suppress(WhohasError, OSError):
        connection = _connection(context)
        if connection is not None:
            with connection.open() as backend:
                found = [
                    (run.id, f"{run.report} {run.state} {format_time(run.created, backend.zone)}")
                    for run in backend.runs("", False, _MOST_RUNS)
                    if run.id.startswith(incomplete)
                ]
    return found


def complete_schedules(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the names of schedules that begin so, each with its report."""
    found: list[tuple[str, str]] = []
    with suppress(WhohasError, OSError):
        connection = _connection(context)
        if connection is not None:
            with connection.open() as backend:
                found = [
                    (one["name"], one["reportType"])
                    for one in backend.schedules()
                    if one["name"].startswith(incomplete)
                ]
    return found


def complete_sources(incomplete: str) -> list[str]:
    """Return the names of the sources of this machine that begin so."""
    with suppress(WhohasError, OSError):
        return [source.name for source in _local_sources() if source.name.startswith(incomplete)]
    return []


def _values(context: typer.Context, report_type: str, name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield the possible values of an argument of a report, each with its meaning or an empty text."""
    match name:
        case "detail":
            yield from (("readable", ""), ("complete", ""))
        case "pageSize":
            yield from (("A4", ""), ("Letter", ""))
        case "timeZone":
            from zoneinfo import available_timezones

            yield from ((zone, "") for zone in sorted(available_timezones()))
        case "selectedFormats":
            from whohas.formats.registry import formats

            meanings = {one.name.upper(): one.doc for one in formats().values()}
            yield from ((one, meanings[one.rpartition(",")[2]]) for one in _last_of_list(value.upper(), meanings))
        case "indices":
            yield from ((one, "") for one in complete_indices(""))
        case "columns":
            yield from ((one, "") for one in _last_of_list(value, _columns(context, report_type)))
        case _ if name in _FLAGS:
            yield from (("true", ""), ("false", ""))
        case _ if name in (*_SOURCE_NAMES, *_SOURCE_IDS) and _is_local(context):
            with suppress(WhohasError, OSError):
                for source in _local_sources():
                    yield (source.name, source.id) if name in _SOURCE_NAMES else (source.id, source.name)
        case _:
            return


def _columns(context: typer.Context, report_type: str) -> list[str]:
    """Return the columns of a report; with the attributes of the source that an earlier argument names."""
    from whohas.cli.arguments import parse_argument
    from whohas.reports import all_reports
    from whohas.search.fields import INDICES

    report = all_reports()[report_type]
    given: dict[str, Any] = {}
    for text in context.params.get("arg") or ():
        with suppress(WhohasError):
            given |= [parse_argument(text)]
    if report.type == "SEARCH_EXPORT":
        index = INDICES.get(str(given.get("indices") or "identities"))
        return [] if index is None else list(index.documents.fields)
    found = [column.name for column in report.columns]
    if report.source_columns is not None and _is_local(context):
        with suppress(WhohasError, OSError):
            for source in _local_sources():
                if source.name in given.values() or source.id in given.values():
                    found += [column.name for column in report.source_columns(source)]
    return found


def _last_of_list(text: str, known: Iterable[str]) -> list[str]:
    """Return a comma-separated list with each known name that its last part may become: `a,na` gives `a,name`."""
    before, comma, last = text.rpartition(",")
    chosen = before.split(",")
    return [f"{before}{comma}{name}" for name in known if name.startswith(last) and name not in chosen]


def _is_local(context: typer.Context) -> bool:
    try:
        return isinstance(_target(context.params), LocalTarget)
    except WhohasError:
        return False


def _target(given: Mapping[str, Any]) -> Any:
    return choose_target(
        given.get("server"), given.get("profile"), bool(given.get("local")), os.environ, profiles_path()
    )


def _connection(context: typer.Context) -> Connection | None:
    """Return the installation of a command line; None if it is this machine and nothing is installed here yet."""
    from whohas.cli.options import Connection
    from whohas.settings import load_settings

    target = _target(context.params)
    if isinstance(target, LocalTarget) and not load_settings().home.is_dir():
        return None  # opening an installation would make its folder
    return Connection(target, quiet=True)


def _local_sources() -> tuple[CatalogSource, ...]:
    from whohas.settings import load_settings
    from whohas.warehouse.catalog import read_catalog
    from whohas.warehouse.opening import open_warehouse

    settings = load_settings()
    address = settings.warehouse_address
    if address.is_local and not address.path.is_dir():
        return ()
    return read_catalog(open_warehouse(settings).snapshot()).sources
