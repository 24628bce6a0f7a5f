"""No test depends on how fast the machine is: how tests wait is decided in `patience`, and nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CLOCKS = {"monotonic", "perf_counter"}
WAITS = {"ended", "join", "result", "wait"}
HTTPX = {"get", "head", "options", "post", "put", "patch", "delete", "request", "stream", "Client"}


def findings(source: str) -> Iterator[str]:
    """Parts of a test that a slow machine would fail."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assert():
                yield from (f"asserts a time from above: {one}" for one in times_from_above(node))
            case ast.keyword(arg="timeout", value=ast.Constant(int() | float() as seconds)) if seconds >= 1:
                yield f"timeout={seconds}"
            case ast.Call(ast.Attribute(_, name), [ast.Constant(int() | float() as seconds)]) if (
                name in WAITS and seconds >= 1
            ):
                yield f"{name}({seconds})"
            case ast.Call(ast.Attribute(ast.Name("httpx2"), name)) if name in HTTPX:
                yield f"httpx2.{name} gives up after five seconds: asking.{name}"
            case ast.Call(keywords=options) as call if any(one.arg == "deadline" for one in options):
                if "deadline=None" not in ast.unparse(call):
                    yield ast.unparse(call)
            case ast.keyword(arg="suppress_health_check", value=ast.List() as checks) if "too_slow" not in ast.unparse(
                checks
            ):
                yield f"without HealthCheck.too_slow: {ast.unparse(checks)}"
            case _:
                pass


def times_from_above(node: ast.Assert) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Compare):
            sides = [one.left, *one.comparators]
            for smaller, comparison, greater in zip(sides, one.ops, sides[1:], strict=False):
                side = smaller if isinstance(comparison, ast.Lt | ast.LtE) else greater
                if not isinstance(comparison, ast.Eq | ast.NotEq | ast.In | ast.NotIn) and asks_a_clock(side):
                    yield ast.unparse(one)


def asks_a_clock(node: ast.expr) -> bool:
    called = (one.func for one in ast.walk(node) if isinstance(one, ast.Call))
    return any(isinstance(one, ast.Attribute) and one.attr in CLOCKS for one in called)


def modules() -> list[Path]:
    # the published SDKs have times of their own, and chaos is a matter of time
    apart = re.compile(r"(clients|chaos)/|(asking|patience)\.py$")
    paths = (path for path in TESTS.rglob("*.py") if not apart.match(path.relative_to(TESTS).as_posix()))
    return sorted(paths)


def test_a_slow_machine_fails_no_test() -> None:
    assert [f"{path}: {one}" for path in modules() for one in findings(path.read_text())] == []


@pytest.mark.parametrize(
    "line",
    ["assert time.monotonic() - began < 5", "assert 0.1 < time.monotonic() - began < 5", "assert 5 >= perf.perf_counter()",
     "assert stop.wait(20)", "process.wait(30)", "run([], timeout=60)", "httpx2.get('/')", "settings(deadline=200)",
     "settings(suppress_health_check=[HealthCheck.function_scoped_fixture])"],
)  # fmt: skip
def test_what_depends_on_speed_is_found(line: str) -> None:
    assert len(list(findings(line))) == 1


@pytest.mark.parametrize(
    "line",
    ["assert time.monotonic() - began >= 0.2", "assert stop.wait(0)", "process.wait(PATIENCE_SECONDS)",
     "client.wait(RUN, timeout=0.2)", "asking.get('/')", "settings(deadline=None)", "assert time.process_time() - began < 10"],
)  # fmt: skip
def test_what_does_not_depend_on_speed_is_left_alone(line: str) -> None:
    assert list(findings(line)) == []
