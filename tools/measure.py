"""Measure the code's language, layout and call path: `python tools/measure.py [--path]`.

Print what a code review once counted, next to the figures of well-known codebases and of whohas at that review:

- words per 10,000 of documentation, docstrings and comments that make a text hard to read;
- modules, their sizes, classes of one name, and names of functions and tests;
- with `--path`, the functions, modules and package switches that one ACCOUNTS run calls, from POST to download.

`--path` starts a server on a temporary folder with `examples/acme` and needs whohas installed. Functions are counted
once, by their code; a package switch is a call from a function of one package of whohas into another package.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tokenize
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "whohas"

PATTERNS: dict[str, str] = {
    "clauses as nouns (what is, who has, what it …)": (
        r"\b(?:what|who)\s+(?:is|are|was|were|has|have|had|it|they|a|an|the|does|do)\b"
    ),
    "tell, told": r"\b(?:tell|tells|told)\b",
    "is none, is no X": r"\b(?:is|are|was|were)\s+(?:none|no)\b",
    "whoever, whatever, whom": r"\b(?:whoever|whatever|whom|whichever)\b",
    "of its own": r"\bof\s+(?:its|their|our|your)\s+own\b",
    "beside": r"\bbeside\b",
    "so many, so long, so far": r"\bso\s+(?:many|long|far)\b",
    '", for" meaning because': (
        r",\s+for\s+(?:the|a|an|it|they|there|this|that|nobody|somebody|no)\s+\w+\s+"
        r"(?:is|are|was|has|have|may|would|can|could)\b"
    ),
    "come(s) to": r"\bcomes?\s+to\b",
    "again and again, anew, meanwhile": r"\b(?:again\s+and\s+again|anew|meanwhile)\b",
}
"""What makes a text hard to read, as a regular expression."""

ANCHORS = ("svcs", "structlog", "procrastinate", "httpx", "starlette", "trio", "sqlite-utils", "datasette")
REVIEW: dict[str, tuple[float, ...]] = {
    "clauses as nouns (what is, who has, what it …)": (70.9, 1.9, 0.8, 0.4, 1.4, 0.9, 1.9, 0.4, 0.7),
    "tell, told": (24.7, 1.9, 1.2, 0.8, 0, 0, 2.6, 0.6, 0.8),
    "is none, is no X": (15.8, 0, 2.7, 5.1, 2.4, 0.9, 1.9, 0.6, 0.8),
    "whoever, whatever, whom": (14.0, 1.9, 1.9, 0.8, 1.4, 0.4, 4.8, 0, 0.2),
    "of its own": (8.2, 0, 0.4, 0, 0, 0, 0.3, 0, 0.2),
    "beside": (6.3, 0, 0.4, 0, 0, 0, 0, 0, 0),
    "so many, so long, so far": (5.5, 0, 0.4, 0, 0, 0, 0.4, 0, 0.3),
    '", for" meaning because': (5.2, 0, 0, 1.2, 0, 0, 0.1, 0, 0),
    "come(s) to": (5.0, 0, 0.4, 0, 0, 0, 0.1, 0, 0),
    "again and again, anew, meanwhile": (5.7, 0, 0, 0.4, 0, 0, 0.1, 0, 0),
}
"""Of whohas at the review (57d70df), then of each anchor; the review's own expressions may have differed slightly."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", action="store_true", help="trace one run as well")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository to measure")
    given = parser.parse_args()
    root: Path = given.root.resolve()
    print_language(root)
    print_layout(root)
    if given.path:
        print_path(root)


# --- language


def print_language(root: Path) -> None:
    """Print the patterns per 10,000 words, next to the review's figures."""
    prose = "\n".join(texts(root))
    words = len(re.findall(r"[A-Za-z][A-Za-z'-]*", prose))
    print(f"{words:,} words of documentation, docstrings and comments; occurrences per 10,000 words:")
    print(f"{'':48}{'now':>7}{'review':>8}" + "".join(f"{name:>14}" for name in ANCHORS))
    for name, pattern in PATTERNS.items():
        count = len(re.findall(pattern, prose, re.IGNORECASE))
        figures = REVIEW[name]
        row = f"{name:48}{10_000 * count / words:7.1f}{figures[0]:8.1f}"
        print(row + "".join(f"{figure:14.1f}" for figure in figures[1:]))
    pages = [page for folder in ("docs/explanation", "docs/how-to") for page in (root / folder).rglob("*.md")]
    total = tables = 0
    for page in pages:
        for line in page.read_text().splitlines():
            total += len(line)
            tables += len(line) if line.lstrip().startswith("|") else 0
    if total:
        print(
            f"characters in table rows, docs/explanation and docs/how-to: {100 * tables / total:.0f} % (review: 59 %)"
        )


def texts(root: Path) -> Iterator[str]:
    """The prose of a repository: pages without code blocks, docstrings and comments."""
    for page in [*(root / "docs").rglob("*.md"), *root.glob("*.md")]:
        yield re.sub(r"```.*?```|`[^`\n]*`", " ", page.read_text(), flags=re.DOTALL)
    for path in (root / "src").rglob("*.py"):
        text = path.read_text()
        yield from docstrings(ast.parse(text))
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.string.lstrip("# ")


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Docstrings of modules, classes, functions and attributes: every text that stands as a statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


# --- layout


def print_layout(root: Path) -> None:
    """Print the sizes of modules, the classes that share a name, and the names of functions and tests."""
    source = root / "src" / "whohas"
    paths = sorted(source.rglob("*.py"))
    lines = [len(path.read_text().splitlines()) for path in paths]
    functions: list[str] = []
    classes: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        module = ".".join(path.relative_to(source).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__"):
                functions.append(node.name)
            if isinstance(node, ast.ClassDef):
                classes[node.name.lstrip("_")].add(module)
    homonyms = {name: modules for name, modules in classes.items() if len(modules) > 1}
    single = sum("_" not in name.strip("_") for name in functions)
    tests = [
        node.name
        for path in (root / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    share = 100 * single / len(functions)
    print(f"\nmodules: {len(paths)} (review: 243), median {statistics.median(lines):.0f} lines (118)")
    print(f"under 100 lines: {sum(n < 100 for n in lines)} (102), over 500: {sum(n > 500 for n in lines)} (0)")
    print(f"functions: {len(functions):,}, {share:.0f} % named by one word (78 %; anchors 14 to 64 %)")
    print(f"class names used twice or more: {len(homonyms)} (review: 29)")
    for name, modules in sorted(homonyms.items()):
        print(f"    {name}: {', '.join(sorted(modules))}")
    sizes = sorted(map(len, tests))
    print(
        f"test names: {len(sizes):,}, median {statistics.median(sizes):.0f} characters (52; anchors 29 to 38), "
        f"95 % at most {sizes[int(0.95 * len(sizes))]} (75)"
    )


# --- the path of a run

HOOK = """
import os, sys, threading, time
_file = os.open(os.environ["MEASURE_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def _hook(frame, event, argument):
    if event != "call":
        return
    code = frame.f_code
    if "/whohas/" not in code.co_filename or code.co_name.startswith("<"):
        return
    caller = frame.f_back
    while caller is not None and "/whohas/" not in caller.f_code.co_filename:
        caller = caller.f_back
    before = caller.f_code.co_filename if caller is not None else ""
    name = getattr(code, "co_qualname", code.co_name)
    line = "\\t".join((f"{time.time():.6f}", threading.current_thread().name, code.co_filename, name,
                      str(code.co_firstlineno), before))
    os.write(_file, line.encode() + b"\\n")
sys.setprofile(_hook)
threading.setprofile(_hook)
"""
"""Put into each Python process of the server: one line a call of a function of whohas."""


def print_path(root: Path) -> None:
    """Trace the second of two ACCOUNTS runs and print the functions, modules and package switches of each request."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        calls, windows = traced(root, folder)
    idle = [call for call in calls if windows["idle"][0] <= call[0] < windows["idle"][1]]
    periodic = {call[1] for call in idle} - {"MainThread"}
    every: set[tuple[str, str, str]] = set()
    print()
    for name, (start, end) in windows.items():
        if name == "idle":
            continue
        found = [call for call in calls if start <= call[0] < end and call[1] not in periodic]
        functions = {call[2:5] for call in found}
        every |= functions
        print(f"{name}: {summary(found, functions)}")
    start, end = min(w[0] for n, w in windows.items() if n != "idle"), max(w[1] for w in windows.values())
    found = [call for call in calls if start <= call[0] < end and call[1] not in periodic]
    print(f"all: {summary(found, every)}")


Call = tuple[float, str, str, str, str, str]
"""Time, thread, file, function, line, and the file of the nearest caller in whohas."""


def summary(calls: list[Call], functions: set[tuple[str, str, str]]) -> str:
    modules = {function[0] for function in functions}
    switches = Counter(
        (package(call[5]), package(call[2])) for call in calls if call[5] and package(call[5]) != package(call[2])
    )
    return f"{len(functions)} functions in {len(modules)} modules, {sum(switches.values())} package switches"


def package(path: str) -> str:
    return path.rpartition("/whohas/")[2].partition("/")[0]


def traced(root: Path, folder: Path) -> tuple[list[Call], dict[str, tuple[float, float]]]:
    """Start a traced server, make two runs, and return the calls and the time of each request of the second."""
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(HOOK)
    plain = {**os.environ, "WHOHAS_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "whohas"]
    subprocess.run([*command, "load", "-q", str(root / "examples" / "acme")], env=plain, check=True)
    record = folder / "calls"
    record.touch()
    environment = {**plain, "PYTHONPATH": str(folder / "hook"), "MEASURE_FILE": str(record)}
    server = subprocess.Popen(
        [*command, "serve", "--dev", "--port", "0"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert server.stdout is not None
        server.stdout.readline()
        lines = (folder / "home" / "dev.env").read_text().splitlines()
        facts = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
        one_run(facts, "Active Directory")
        time.sleep(3)
        windows = {"idle": (time.time(), time.time() + 4)}
        time.sleep(4)
        windows |= one_run(facts, "Badge System")
    finally:
        server.terminate()
        server.wait()
    calls: list[Call] = []
    for line in record.read_text().splitlines():
        when, *rest = line.split("\t")
        if len(rest) == 5:
            calls.append((float(when), rest[0], rest[1], rest[2], rest[3], rest[4]))
    return calls, windows


def one_run(facts: dict[str, str], source: str) -> dict[str, tuple[float, float]]:
    """Run ACCOUNTS of a source, wait for it, and download the file; return when each step began and ended."""
    base = facts["SAIL_BASE_URL"]
    form = {
        "grant_type": "client_credentials",
        "client_id": facts["SAIL_CLIENT_ID"],
        "client_secret": facts["SAIL_CLIENT_SECRET"],
    }
    token = json.loads(call(f"{base}/oauth/token", urllib.parse.urlencode(form).encode(), {}))["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"reportType": "ACCOUNTS", "arguments": {"sourceName": source}})
    windows: dict[str, tuple[float, float]] = {}
    started = time.time()
    run = json.loads(call(f"{base}/v2025/reports/run", body.encode(), headers))["id"]
    windows["POST"] = (started, time.time())
    while not json.loads(call(f"{base}/v2025/reports/{run}/result", None, headers))["status"]:
        time.sleep(1)
    windows["worker, child and polls"] = (windows["POST"][1], time.time())
    started = time.time()
    result = json.loads(call(f"{base}/v2025/reports/{run}/result", None, headers))
    windows["GET result"] = (started, time.time())
    if result["status"] not in ("SUCCESS", "WARNING"):
        raise SystemExit(f"the run ended as {result['status']}: {result}")
    started = time.time()
    call(f"{base}/v2025/reports/{run}?fileFormat=csv", None, headers)
    time.sleep(0.5)
    windows["GET file"] = (started, time.time())
    return windows


def call(url: str, body: bytes | None, headers: dict[str, str]) -> bytes:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=120) as answer:  # noqa: S310
            return answer.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url}: {error.code} {error.read().decode(errors='replace')}") from None


if __name__ == "__main__":
    main()
