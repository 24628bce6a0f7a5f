"""Writes the reference pages from the code: `make docs`. A test holds the pages to what this would write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
from docs.interfaces import audit_events, command_line, grid, metrics, operations, states
from docs.python_client import python_client
from docs.search_tables import INTRODUCTION, chapters
from pydantic_core import PydanticUndefined

from whohas import reports, timeouts
from whohas.formats.html.writer import MAX_BYTES as PAGE_BYTES
from whohas.formats.html.writer import MAX_ROWS as PAGE_ROWS
from whohas.formats.registry import formats
from whohas.formats.xlsx.long_texts import CELL_LENGTH
from whohas.formats.xlsx.tables import NAME_LENGTH
from whohas.formats.xlsx.writer import COLUMNS as SHEET_COLUMNS
from whohas.formats.xlsx.writer import ROWS as SHEET_ROWS
from whohas.reports.accounts import MAX_COLUMNS
from whohas.reports.base import COLUMNS_DOC
from whohas.reports.summaries import REJECTED_FIGURE
from whohas.runs.models import TRANSITIONS
from whohas.runs.output_options import FILE_ARGUMENTS
from whohas.search.fields import INDICES
from whohas.settings import Settings
from whohas.warehouse.schema import TABLES

HERE = Path(__file__).parent
REFERENCE = HERE / "reference"
LIFECYCLE = HERE / "explanation" / "lifecycle.md"
STATES = HERE / "explanation" / "states.svg"
_BEGIN, _END = "<!-- from the code: make docs -->\n", "<!-- to here -->\n"
_BEGIN_TIMES = "<!-- times from the code: make docs -->\n"


def pages() -> dict[str, str]:
    """The text of each page by its file name."""
    return {
        "tables.md": _tables(),
        "reports.md": _reports(),
        "settings.md": _settings(),
        "search-fields.md": _fields(),
        "formats.md": _formats(),
        "command-line.md": command_line(),
        "http-operations.md": operations(),
        "audit-events.md": audit_events(),
        "metrics.md": metrics(),
        "python-client.md": python_client(),
    }


def lifecycle() -> str:
    """The page on the life of a run, its diagram and its tables as the code has them; the rest as it stands."""
    text = LIFECYCLE.read_text()
    for begin, table in ((_BEGIN, _states()), (_BEGIN_TIMES, _times())):
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(_END)
        text = f"{before}{begin}{table}{_END}{after}"
    return text


def _states() -> str:
    rows = [
        (str(number), f"`{way.before}`" if way.before else "", f"`{way.after}`", way.when, f"`{way.statement}`")
        for number, way in enumerate(TRANSITIONS, 1)
    ]
    picture = "![The states of a run; the numbers on the arrows are those of the table](states.svg)"
    return f"{picture}\n\n{grid(('number', 'from', 'to', 'when', 'statement of `runs/repository.py`'), rows)}\n"


def _times() -> str:
    times = vars(timeouts)

    def value(name: re.Match[str]) -> str:
        return f"{times[name[0]]:g}"

    rows = [(f"`{rule}`", f"`{re.sub('[A-Z][A-Z_]+', value, rule)}`", why) for rule, why in timeouts.RELATIONS]
    return f"{grid(('relation', 'in seconds', 'why'), rows)}\n"


def _tables() -> str:
    parts = [
        "# Tables",
        "Identity data at rest, in `$WHOHAS_HOME/warehouse`: one Delta Lake table each. Any engine that reads Delta "
        "Lake reads them as they lie. A field of a published document that is nested is flat here; the last column "
        "says where a document has it, the first place that is there wins.",
    ]
    for table in TABLES.values():
        split = f" Split into files by `{table.partition}`." if table.partition else ""
        if table.shredded:
            split += (
                " In addition to the map `attributes`, the files have the most common attributes as columns, "
                "`shredded_text_0` … of texts and `shredded_list_0` … of lists; the footer names the attribute of "
                "each, and readers of the table ignore them."
            )
        rows = [
            (f"`{column.name}`", _type(column.type), column.doc, ", ".join(f"`{path}`" for path in column.paths))
            for column in table.columns
        ]
        parts += [f"## {table.name}", f"{table.doc}{split}", grid(("column", "type", "meaning", "in documents"), rows)]
    parts.append(INTRODUCTION.strip())
    for name, doc, columns in chapters():
        rows = [(f"`{column}`", type, words, meaning) for column, type, words, meaning in columns]
        parts += [f'### "{name}"', doc, grid(("column", "type", "`:words`", "meaning"), rows)]
    return "\n\n".join(parts) + "\n"


def _reports() -> str:
    parts = [
        "# Reports",
        "The arguments and columns of each report. A start is `POST /v2025/reports/run` with `reportType` and "
        "`arguments`, or `whohas run TYPE --arg name=value`.",
        "## Columns",
        "Every report takes the argument `columns`:",
        grid(("argument", "meaning"), [("`columns`", COLUMNS_DOC)]),
        "It is part of what makes two starts the same run. A summary has only the figures that these columns allow.",
        "## Files",
        "Arguments of all reports, for their files:",
        grid(("argument", "meaning"), [(f"`{name}`", meaning) for name, meaning in FILE_ARGUMENTS.items()]),
    ]
    for report in reports.all_reports().values():
        arguments = [(f"`{name}`", meaning) for name, meaning in report.arguments.items()]
        given = grid(("argument", "meaning"), arguments) if arguments else "It has no other arguments."
        columns = [(f"`{column.name}`", column.type, column.label, column.doc) for column in report.columns]
        summary = [(item.label, f"`{item.name}`", item.doc) for item in (*report.summary.figures, REJECTED_FIGURE)]
        breakdowns = [(item.label, f"`{item.name}`", item.doc) for item in report.summary.breakdowns]
        parts += [
            f"## {report.type}",
            f"{report.name}. {report.description}",
            given,
            grid(("column", "type", "label", "meaning"), columns),
            "Its summary:",
            grid(("figure or breakdown", "name", "meaning"), [*summary, *breakdowns]),
        ]
    return "\n\n".join(parts) + "\n"


def _fields() -> str:
    parts = [
        "# The fields that can be searched",
        "By index: the fields of its documents, then those of each list in them, which a query reaches by `@list(…)` "
        "and an export by `list.spread`. A text can be asked for word by word or, with `.exact`, as a whole; `x.*` is "
        "an open map: every name in it is a field. An export without `columns` shows the ones with a star. See "
        "[search.md](search.md).",
    ]
    for index in INDICES.values():
        parts.append(f"## {index.name}")
        for path, element in index.elements.items():
            rows = [
                (
                    f"`{one.name}`" + (" *" if not path and one.name in index.default_columns else ""),
                    one.kind,
                    "yes" if one.multi_valued else "",
                )
                for one in element.fields.values()
            ]
            rows += [(f"`{name}.*`", "text", "some") for name in element.map_columns]
            title = [f"### `@{path}(…)`"] if path else []
            parts += [*title, grid(("field", "kind", "several values"), rows)]
    return "\n\n".join(parts) + "\n"


def _settings() -> str:
    rows = [
        (f"`WHOHAS_{name.upper()}`", _default(name, field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return (
        "\n\n".join(
            (
                "# Settings",
                "Each is an environment variable, or a line of the TOML file `whohas.toml` in the home folder (or "
                "where `WHOHAS_CONFIG` says) under its name in lower case without the prefix: `run_threads = 4`. The "
                "environment wins.",
                grid(("setting", "default", "meaning"), rows),
            )
        )
        + "\n"
    )


def _formats() -> str:
    rows = [(f"`{one.name}`", one.doc, f"`{one.media_type}`") for one in formats().values()]
    limits = {
        "sheet": SHEET_ROWS,
        "cell": CELL_LENGTH,
        "columns": SHEET_COLUMNS,
        "accounts": MAX_COLUMNS,
        "page": PAGE_ROWS,
        "header": NAME_LENGTH,
    }
    limits |= {"page_size": PAGE_BYTES >> 20}
    written = (HERE / "formats.in.md").read_text()
    for name, limit in limits.items():
        written = written.replace(f"{{{name}}}", f"{limit:,}")
    return written.replace("{formats}", grid(("format", "what it is", "Content-Type"), rows))


_COMPUTED = {
    "home": "the platform's data folder, such as `~/.local/share/whohas`",
    "runs_at_once": "half the processors, at least 1",
    "run_threads": "the processors",
}


def _default(name: str, field: Any) -> str:
    if name in _COMPUTED:
        return _COMPUTED[name]
    value = None if field.default is PydanticUndefined else field.default
    text = ",".join(value) if isinstance(value, tuple) else value
    return "" if text in (None, "") else f"`{text}`"


def _type(type: pa.DataType) -> str:
    if pa.types.is_map(type):
        return "map of names to texts"
    if pa.types.is_list(type):
        inner = type.value_type
        if pa.types.is_struct(inner):
            return "list of objects: " + ", ".join(f"`{field.name}`" for field in inner)
        return "list of texts"
    if pa.types.is_timestamp(type):
        return "time"
    return {"string": "text", "bool": "boolean", "int64": "integer"}[str(type)]


def main() -> None:
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)
    LIFECYCLE.write_text(lifecycle())
    STATES.write_text(states())


if __name__ == "__main__":
    main()
