"""The form of a report: its fields from the arguments of the report, and the arguments from what was entered.

An argument that this module does not know becomes a text field with its description from the definition, so that a new
argument of a report is in the form without a change here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final
from zoneinfo import available_timezones

from starlette.datastructures import FormData, QueryParams

from whohas.auth import Caller
from whohas.errors import InvalidArguments
from whohas.formats.registry import formats
from whohas.reports.base import Report
from whohas.reports.registry import PUBLISHED_TYPES
from whohas.runs.models import Run
from whohas.runs.output_options import FILE_ARGUMENTS
from whohas.search.fields import INDICES
from whohas.warehouse.catalog import Catalog


class FieldKind(StrEnum):
    """The kind of input of a field."""

    TEXT = "text"
    FLAG = "flag"
    """A checkbox: true or absent."""
    CHOICE = "choice"
    """One of several values."""
    CHOICES = "choices"
    """Any number of several values."""
    JSON = "json"
    """A JSON object."""
    QUERY = "query"
    """A query, which is completed and checked while it is typed."""
    COLUMNS = "columns"
    """Names of columns with commas between them, in the order wanted."""


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of the form.

    Attributes:
        name: the name of the argument.
        label: its name for people.
        kind: the kind of input.
        help: its description.
        required: whether it must be filled.
        unset: of a choice, the text for no value.
        options: the values of a choice, each with its text.
        value: what was entered: texts, of which all kinds but `CHOICES` have at most one.
        error: what is wrong with it; empty if nothing is known to be wrong.
    """

    name: str
    label: str
    kind: FieldKind
    help: str
    required: bool = False
    unset: str = "Default"
    options: tuple[tuple[str, str], ...] = ()
    value: tuple[str, ...] = ()
    error: str = ""

    @property
    def text(self) -> str:
        """The value of a field with one value."""
        return self.value[0] if self.value else ""


_LABELS: Final[Mapping[str, str]] = {
    "application": "Source",
    "authoritativeSource": "Authoritative source",
    "csvSeparator": "Separator of a CSV",
    "detail": "Detail of files for people",
    "labels": "XLSX with labels as headers",
    "csvBom": "CSV for Excel: begin with a byte order mark",
    "csvDisarm": "CSV for spreadsheets: disarm formulas",
    "selectedFormats": "Files to make",
    "pageSize": "Paper",
    "timeZone": "Time zone",
    "innerHit": "Inner hit",
    "correlatedOnly": "Only identities with a correlated account",
    "phrases": "Search several words as a phrase",
}
_FLAGS: Final = frozenset({"correlatedOnly", "phrases", "csvBom", "csvDisarm", "labels"})
_OBJECTS: Final = frozenset({"filters", "innerHit"})
_LEFT_OUT: Final = frozenset({"sourceName", "includeNested"})
"""Arguments that the form does not have: `application` selects a source by its name, and the other has no effect."""
_SEPARATORS: Final = ((",", "Comma ,"), (";", "Semicolon ;"), ("tab", "Tab"), ("|", "Bar |"))
_PAPERS: Final = (("A4", "A4"), ("Letter", "Letter"))
_DETAILS: Final = (("complete", "Complete"),)
_NAMED = re.compile(r"\b[a-z][A-Za-z]+\b")


def report_fields(report: Report, catalog: Catalog, caller: Caller) -> list[FormField]:
    """Return the fields of the arguments of a report, without values.

    Args:
        report: the report.
        catalog: the catalogue with the sources to choose from.
        caller: the user; one who is restricted to sources chooses from these.
    """
    arguments = report.accepted_arguments.items()
    return [_field(name, text, report, catalog, caller) for name, text in arguments if name not in _LEFT_OUT]


def file_fields(report: Report) -> list[FormField]:
    """Return the fields of the arguments on files; an argument that the report has itself is not among them."""
    fields: list[FormField] = []
    for name, description in FILE_ARGUMENTS.items():
        if name in report.arguments:
            continue
        text, kind, options, unset = description, FieldKind.TEXT, (), "Default"
        match name:
            case "selectedFormats":
                kind = FieldKind.CHOICES
                options = tuple((format.name.upper(), format.name.upper()) for format in formats().values())
            case "csvSeparator":
                kind, options = FieldKind.CHOICE, _SEPARATORS
            case "pageSize":
                kind, options = FieldKind.CHOICE, _PAPERS
            case "detail":
                kind, options, unset = FieldKind.CHOICE, _DETAILS, "Readable"
            case "timeZone":
                options = tuple((zone, zone) for zone in sorted(available_timezones()) if "/" in zone)
            case _ if name in _FLAGS:
                kind, text = FieldKind.FLAG, _flag_help(text)
            case _:
                pass
        fields.append(FormField(name, _label(name), kind, text, unset=unset, options=options))
    return fields


def filled(fields: Sequence[FormField], values: Mapping[str, Sequence[str]], error: str = "") -> list[FormField]:
    """Return fields with values, and with an error at the field that it names.

    Args:
        fields: the fields.
        values: the texts by name.
        error: the message of an error; empty for none.
    """
    wrong = field_of_error(fields, error)
    return [
        replace(field, value=tuple(values.get(field.name, ())), error=error if field.name == wrong else "")
        for field in fields
    ]


def field_of_error(fields: Sequence[FormField], error: str) -> str:
    """Return the name of the field that the message of an error names first; empty if it names none."""
    names = {field.name for field in fields}
    named = next((word for word in _NAMED.findall(error) if word in names), "")
    # an unknown source is told by its name or id, which the field for the source has entered
    return named or ("application" if "application" in names and "source" in error else "")


def entered_values(form: FormData | QueryParams, fields: Sequence[FormField]) -> dict[str, tuple[str, ...]]:
    """Return what was entered, by the name of the field; fields that are empty are left out.

    Spaces at the ends of a text that a person entered are removed. A value of a list is left as it is: the id of a
    source may have such spaces.
    """
    values: dict[str, tuple[str, ...]] = {}
    for field in fields:
        is_chosen = field.kind in (FieldKind.CHOICE, FieldKind.CHOICES)
        entered = [text for text in form.getlist(field.name) if isinstance(text, str)]
        texts = tuple(filter(None, entered if is_chosen else map(str.strip, entered)))
        if texts:
            values[field.name] = texts
    return values


def request_arguments(fields: Sequence[FormField], values: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the arguments of the request that a form stands for.

    Args:
        fields: the fields.
        values: what was entered.

    Raises:
        InvalidArguments: a field that needs a JSON object has none; the message names the field.
    """
    arguments: dict[str, Any] = {}
    for field in fields:
        texts = list(values.get(field.name, ()))
        if not texts:
            continue
        match field.kind:
            case FieldKind.FLAG:
                arguments[field.name] = True
            case FieldKind.CHOICES:
                arguments[field.name] = texts
            case FieldKind.JSON:
                arguments[field.name] = _json_object(field.name, texts[0])
            case FieldKind.COLUMNS if texts[0].startswith("["):
                arguments[field.name] = _json_list(field.name, texts[0])
            case _:
                arguments[field.name] = texts[0]
    return arguments


def values_of_run(run: Run, fields: Sequence[FormField]) -> dict[str, tuple[str, ...]]:
    """Return the values with which a run was started, to start it again with changes."""
    values: dict[str, tuple[str, ...]] = {}
    for field in fields:
        match run.arguments.get(field.name):
            case None | False:
                continue
            case True:
                values[field.name] = ("true",)
            case list() as several:
                texts = tuple(str(one) for one in several)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
                joined = json.dumps(texts, ensure_ascii=False) if any("," in one for one in texts) else ",".join(texts)
                values[field.name] = texts if field.kind is FieldKind.CHOICES else (joined,)
            case dict() as fields_of_object:
                values[field.name] = (json.dumps(fields_of_object, ensure_ascii=False),)
            case "\t":
                values[field.name] = ("tab",)
            case text:
                values[field.name] = (str(text).upper() if field.name == "pageSize" and text == "a4" else str(text),)
    return values


def _field(name: str, text: str, report: Report, catalog: Catalog, caller: Caller) -> FormField:
    kind, options = FieldKind.TEXT, ()
    required = PUBLISHED_TYPES.get(report.type, ())[:1] == (name,)
    match name:
        case "application" | "authoritativeSource":
            kind = FieldKind.CHOICE
            options = tuple(
                (source.id, source.name)
                for source in sorted(catalog.sources, key=lambda source: source.name.casefold())
                if (name == "application" or source.authoritative)
                and (not caller.restricted_to_sources or source.id in caller.sources)
            )
            text = "The system whose accounts are listed." if name == "application" else text
        case "query":
            kind = FieldKind.QUERY
            text = (
                "Names of fields and their values are suggested while you type. `*` finds everything; Search has help."
            )
        case "columns":
            kind = FieldKind.COLUMNS
            text = f"Technical names with commas between them, in the order wanted; empty for all.{_spreads(report)}"
        case "indices":
            kind, options = FieldKind.CHOICES, tuple((index, document.title) for index, document in INDICES.items())
            text = "Each index that is ticked makes a file; if none is ticked, all of them are searched."
        case _ if name in _FLAGS:
            kind, text = FieldKind.FLAG, _flag_help(text)
        case _ if name in _OBJECTS:
            kind = FieldKind.JSON
        case _:
            pass
    return FormField(name, _label(name), kind, text, required, options=options)


def _spreads(report: Report) -> str:
    return " `access.spread` gives one row for each item of access." if report.needs_search_index else ""


def _flag_help(text: str) -> str:
    """Return the description of a flag without the value that a checkbox stands for: `true: …`."""
    text = text.removeprefix("true: ")
    return text[:1].upper() + text[1:]


def _label(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return _LABELS.get(name, words[:1].upper() + words[1:])


def _json_list(name: str, text: str) -> list[Any]:
    """Return the names in a JSON list, which is the way to write a name that has a comma."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArguments(
            f"The argument {name} begins with [ but is no JSON list: {error}. Write names with commas between them."
        ) from None
    return value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]


def _json_object(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArguments(f"The argument {name} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidArguments(f'The argument {name} must be a JSON object, such as {{"name": "value"}}.')
    return value  # pyright: ignore[reportUnknownVariableType]
