"""Real Lucene as the judge of the search language: the jars, and one run of `oracle/Oracle.java` for many queries."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from patience import PATIENCE_SECONDS

TESTS = Path(__file__).resolve().parent
JARS = TESTS.parent / ".cache" / "lucene"
ORACLE = TESTS / "oracle" / "Oracle.java"
VERSION = "8.11.4"
CENTRAL = "https://repo1.maven.org/maven2/org/apache/lucene"
SHA256 = {
    "lucene-core": "1a2aae423e3749578524dfdd94377dd8f24d94fa2685b41a34db0ebc1d04f00d",
    "lucene-analyzers-common": "cdd75140d0033c8451d46b42ade5e7f2619a16dfc2cdc9cfc8d68adb752dd8f6",
    "lucene-queryparser": "08ef0c517f5ef756981ce954129e9c9ca764b1e3e6be57c723c665249f28e38d",
    "lucene-queries": "895870673ecbe05aec0fea72c0c686f272bdf90344b9f050d9fa1e814ce1577b",
    "lucene-sandbox": "d925fd0275df1d8b0aba987c958024644a5670d468806098ef65bf6e054da665",
}
OLDEST_JAVA = 11  # the first that runs a single source file


class Unavailable(Exception):
    """There is no Java, or the jars are neither here nor to be had; the message says which."""


@dataclass(frozen=True)
class Answer:
    """What Lucene made of one query: the ids of the documents it matched, or why it rejected it."""

    query: str
    ids: frozenset[str] = frozenset()
    parsed: str = ""
    rejected: str | None = None


def ask(documents: Sequence[Mapping[str, Any]], queries: Iterable[str]) -> list[Answer]:
    """The answers to these queries over these documents, in order.

    A document is a nested mapping with an `id`: objects become dotted fields, lists several values of one field.
    """
    asked = list(queries)
    lines = [_line("D", document["id"], *_fields(document)) for document in documents]
    lines += [_line("Q", query) for query in asked]
    command = [_java(), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", _class_path(), str(ORACLE)]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    if done.returncode:
        raise RuntimeError(f"the oracle failed: {done.stderr}")
    answers = [_answer(query, line) for query, line in zip(asked, done.stdout.splitlines(), strict=True)]
    return answers


def _line(kind: str, *parts: str) -> str:
    return "\t".join([kind, *(base64.b64encode(part.encode()).decode() for part in parts)])


def _fields(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Field, value, field, value: every text of a document."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{prefix}{key}.")
        else:
            for item in value if isinstance(value, list) else [value]:
                if item is not None:
                    yield from (prefix + key, item)


def _answer(query: str, line: str) -> Answer:
    kind, *parts = line.split("\t")
    texts = [base64.b64decode(part).decode() for part in parts]
    if kind == "REJECTED":
        return Answer(query, rejected=texts[0])
    return Answer(query, ids=frozenset(texts[1:]), parsed=texts[0])


@cache
def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home, "bin"))) if home else None
    java = java or shutil.which("java")
    if java is None:
        raise Unavailable(f"no java found; install a JDK {OLDEST_JAVA} or later")
    told = subprocess.run([java, "--version"], capture_output=True, text=True).stdout
    version = re.search(r"\d+", told)
    if version is None or int(version[0]) < OLDEST_JAVA:
        raise Unavailable(f"{java} is too old or broken; install a JDK {OLDEST_JAVA} or later")
    if "jdk.compiler" not in subprocess.run([java, "--list-modules"], capture_output=True, text=True).stdout:
        raise Unavailable(f"{java} has no compiler; install a JDK {OLDEST_JAVA} or later, not only its runtime")
    return java


def _class_path() -> str:
    return os.pathsep.join(str(_jar(name, digest)) for name, digest in SHA256.items())


def _jar(name: str, digest: str) -> Path:
    """The jar in the cache, fetched from Maven Central when it is not there."""
    path = JARS / f"{name}-{VERSION}.jar"
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
        return path
    url = f"{CENTRAL}/{name}/{VERSION}/{path.name}"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
            content = response.read()
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise Unavailable(f"{url} cannot be fetched: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise RuntimeError(f"{url} has the SHA-256 {found}, not {digest}")
    JARS.mkdir(parents=True, exist_ok=True)
    # another test process may fetch the same jar at the same time: whoever renames last wins, with the same bytes
    with tempfile.NamedTemporaryFile(dir=JARS, prefix=path.name, delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)
    return path
