"""The reference page of the Python client, from the docstrings of `whohas_client`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import whohas_client
from whohas_client import Client, Run, errors

_METHODS = (
    Client.run,
    Client.open_run,
    Client.find,
    Client.start,
    Client.result,
    Client.wait,
    Client.download,
    Client.cancel,
    Client.request,
    Client.close,
    Client.from_env,
)
_PUBLISHED = (Client.start_report, Client.get_report_result, Client.get_report, Client.cancel_report)
_OF_RUN = (Run.wait, Run.to, Run.rows, Run.to_arrow, Run.to_pandas, Run.result, Run.cancel)


def python_client() -> str:
    """Return the page: the example of the package, the constructor and the methods of each class, and the errors."""
    introduction, example, end = re.split(r"\n\n::\n\n|\n\n(?=\S)", inspect.getdoc(whohas_client) or "", maxsplit=2)
    parts = [
        "# Python client",
        introduction,
        f"```python\n{inspect.cleandoc(example)}\n```",
        end.replace("\n", " "),
        "The [guide](../how-to/python.md) has examples. The package is `whohas-client`; it comes with whohas too: "
        "`from whohas import Client`.",
        "## Client",
        f"```python\n{_signature('Client', Client)}\n```",
        _text(Client),
        *_methods(_METHODS),
        "## Names of the published API",
        "The same operations under the names that the official SDK for Python has, with its arguments.",
        *_methods(_PUBLISHED),
        "## Run",
        _text(Run),
        *_methods(_OF_RUN),
        "## Errors",
        _errors(),
    ]
    return "\n\n".join(parts) + "\n"


def _methods(methods: Sequence[Callable[..., Any]]) -> list[str]:
    parts: list[str] = []
    for method in methods:
        parts += [f"### {method.__name__}", f"```python\n{_signature(method.__name__, method)}\n```", _text(method)]
    return parts


def _errors() -> str:
    text = inspect.getdoc(errors) or ""
    drawing, _, end = text.partition("::\n\n")[2].partition("\n\n")
    return f"All are in `whohas_client.errors`.\n\n```text\n{inspect.cleandoc(drawing)}\n```\n\n{end}"


def _signature(name: str, function: Callable[..., Any]) -> str:
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))  # annotations are strings
    return f"{name}{text.replace('(self, ', '(').replace('(self)', '()').removesuffix(' -> None')}"


def _text(function: Callable[..., Any]) -> str:
    """Return a docstring as Markdown: its sections become lists."""
    found: list[str] = []
    for line in (inspect.getdoc(function) or "").splitlines():
        if line.endswith(":") and not line.startswith(" "):
            found.append({"Args:": "Arguments:\n"}.get(line, f"{line}\n"))
        elif entry := re.fullmatch(r"    (\w[\w, ]*): (.*)", line):
            names = ", ".join(f"`{name}`" for name in entry[1].split(", "))
            found.append(f"- {names}: {entry[2]}")
        elif line.startswith("    "):
            found.append(f"  {line.strip()}")
        else:
            found.append(line)
    return "\n".join(found)
