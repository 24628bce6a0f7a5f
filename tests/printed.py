"""Reads a printed report as its readers do: by ToUnicode, ActualText and the marks of its cells; qpdf opens the file."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

_TOKEN = re.compile(
    rb"\((?P<text>(?:\\.|[^\\()])*)\)|/Span<</ActualText<feff(?P<actual>[0-9a-f]*)>>>BDC"
    rb"|/(?P<role>\w+)<</MCID (?P<mark>\d+)>>BDC|(?P<artifact>/Artifact BMC)|(?P<end>\bEMC)|/(?P<font>[RB]) 1 Tf"
    rb"|/(?P<form>\w+) Do",
    re.S,
)
_CODE = re.compile(rb"[\xf0-\xff]..|[\x80-\xef].|.", re.S)
_PAIR = re.compile(rb"<([0-9a-f]+)> <([0-9a-f]*)>")

_BARE_POINT = re.compile(rb"^( *-?[0-9]+)\.(?=,?$)", re.M)
"""The end of a number such as `410.`, which PDF allows and JSON does not; qpdf 11.3 copies it."""


def program(name: str) -> str:
    """The path of a program that reads PDF; without it, the test is skipped."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: qpdf, poppler-utils, mupdf-tools)")
    return found


def plain_text(path: Path, *options: str) -> str:
    """What pdftotext takes out."""
    done = subprocess.run([program("pdftotext"), *options, str(path), "-"], capture_output=True, check=True)
    return done.stdout.decode()


class Printed:
    """A document."""

    def __init__(self, path: Path) -> None:
        command = [program("qpdf"), "--json=2", "--json-stream-data=inline", "--decode-level=generalized", str(path)]
        done = subprocess.run(command, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        told = json.loads(_BARE_POINT.sub(rb"\1", done.stdout))
        self.pages: list[dict[str, Any]] = [self._object(told, page["object"]) for page in told["pages"]]
        self.outlines: list[dict[str, Any]] = told["outlines"]
        self._told = told

    @staticmethod
    def _object(told: dict[str, Any], name: str) -> dict[str, Any]:
        found = told["qpdf"][1][f"obj:{name}"]
        return found["value"] if "value" in found else found["stream"]

    def object(self, name: str) -> Any:
        return self._object(self._told, name)

    def data(self, name: str) -> bytes:
        """A stream, unpacked."""
        return base64.b64decode(self.object(name)["data"])

    def elements(self, role: str) -> list[dict[str, Any]]:
        """The structure elements of a role, in the order of their objects."""
        objects = (found.get("value") for name, found in self._told["qpdf"][1].items() if name.startswith("obj:"))
        return [found for found in objects if isinstance(found, dict) and found.get("/S") == f"/{role}"]

    @cached_property
    def catalogue(self) -> dict[str, Any]:
        return self.object(self._told["qpdf"][1]["trailer"]["value"]["/Root"])

    @cached_property
    def _resources(self) -> dict[str, Any]:
        return self.object(self.pages[0]["/Resources"])

    @cached_property
    def _texts(self) -> dict[bytes, dict[bytes, str]]:
        return {
            name[1:].encode(): {
                bytes.fromhex(code.decode()): bytes.fromhex(text.decode()).decode("utf-16-be", "surrogatepass")
                for block in re.findall(rb"beginbfchar(.*?)endbfchar", self.data(self.object(font)["/ToUnicode"]), re.S)
                for code, text in _PAIR.findall(block)
            }
            for name, font in self._resources["/Font"].items()
        }

    def content(self, page: int) -> bytes:
        return b"\n".join(self.data(name) for name in self.pages[page]["/Contents"])

    def marked(self, page: int) -> list[tuple[str, str]]:
        """Role and text of each mark of a page, in the order of the marks. Nothing stands outside marks and artifacts."""
        texts = self._texts
        found: dict[int, tuple[str, list[str]]] = {}
        into: list[list[str] | None] = [None]
        font = b"R"
        for token in _TOKEN.finditer(self.content(page)):
            match token.lastgroup:
                case "font":
                    font = token["font"]
                case "artifact":
                    into.append([])
                case "mark":
                    found[int(token["mark"])] = (token["role"].decode(), [])
                    into.append(found[int(token["mark"])][1])
                case "actual":
                    inside = into[-1]
                    assert inside is not None, "an ActualText outside of a mark"
                    inside.append(bytes.fromhex(token["actual"].decode()).decode("utf-16-be"))
                    into.append([])  # the text of what it stands for is not read
                case "end":
                    into.pop()
                case "text":
                    written = re.sub(rb"\\(.)", rb"\1", token["text"], flags=re.S)
                    text = "".join(texts[font][code] for code in _CODE.findall(written))
                    inside = into[-1]
                    assert inside is not None or not text, f"{text!r} outside of a mark"
                    if inside is not None:
                        inside.append(text)
                case _:
                    pass
        assert into == [None]
        assert sorted(found) == list(range(len(found)))
        return [(role, "".join(parts)) for _, (role, parts) in sorted(found.items())]

    def cells(self, columns: Sequence[int]) -> Iterator[list[str]]:
        """The rows, page by page.

        Args:
            columns: how many stand on each page; a page of others follows where there are more than one.
        """
        for page in range(len(self.pages)):
            texts = [text for role, text in self.marked(page) if role == "TD"]
            count = columns[page % len(columns)]
            assert len(texts) % count == 0
            yield from (texts[n : n + count] for n in range(0, len(texts), count))
