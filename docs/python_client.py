"""The reference page of the Python client, from the docstrings of `whohas.client`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import whohas.client
from whohas.client import Client

_METHODS = (
    Client.from_env,
    Client.start,
    Client.find,
    Client.result,
    Client.wait,
    Client.download,
    Client.cancel,
    Client.close,
)


def python_client() -> str:
    """Return the page: the example of the package, then the constructor and each method."""
    package = inspect.getdoc(whohas.client) or ""
    introduction, example, end = re.split(r"\n\n::\n\n|\n\n(?=\S)", package, maxsplit=2)
    parts = [
        "# Python client",
        introduction,
        f"```python\n{inspect.cleandoc(example)}\n```",
        end.replace("\n", " "),
        "## Client",
        f"```python\n{_signature('Client', Client)}\n```",
        _text(Client),
    ]
    for method in _METHODS:
        parts += [f"### {method.__name__}", f"```python\n{_signature(method.__name__, method)}\n```", _text(method)]
    return "\n\n".join(parts) + "\n"


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
