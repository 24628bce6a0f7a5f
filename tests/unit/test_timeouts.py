"""The times that parts wait for each other fit together, and no other module has one of its own."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path

import pytest

import whohas
from whohas import timeouts
from whohas.db.engine import create_engine
from whohas.settings import Settings
from whohas_client import _protocol, _responses

SOURCES = Path(whohas.__file__).parent
TIMES = {name: value for name, value in vars(timeouts).items() if name.endswith("_SECONDS")}
ELSEWHERE = {
    ("auth/__init__.py", "DAY_SECONDS"),  # a unit
    ("cli/serve.py", "THREAD_SWITCH_SECONDS"),  # a slice of processor time
    ("execution/digest.py", "_WAIT_SECONDS"),  # a pause of one loop over one file
    ("reports/sources.py", "STALE_AFTER"),  # a rule about data
}


@pytest.mark.parametrize(("rule", "why"), timeouts.RELATIONS, ids=[rule for rule, _ in timeouts.RELATIONS])
def test_each_relation_between_times_holds(rule: str, why: str) -> None:
    assert eval(rule, dict(vars(timeouts))) is True, why  # noqa: S307 - expressions of our own


def test_a_killed_workers_runs_are_taken_over_within_seconds() -> None:
    # what is left is for the database and the machine
    assert timeouts.LEASE_EXPIRY_SECONDS + timeouts.RECOVERY_POLL_SECONDS + 1 <= 5


def test_each_relation_names_times_and_a_reason() -> None:
    for rule, why in timeouts.RELATIONS:
        names = set(re.findall("[A-Z][A-Z_]+", rule))
        assert names and names <= TIMES.keys(), rule
        assert re.search("<|<=|==", rule), rule
        assert re.fullmatch(r"[A-Z].{20,}\.", why), why
    assert len(dict(timeouts.RELATIONS)) == len(timeouts.RELATIONS)


def test_each_time_is_positive_and_has_its_meaning() -> None:
    assert all(value > 0 for value in TIMES.values())
    body = ast.parse(Path(timeouts.__file__).read_text()).body
    for number, node in enumerate(body):
        if isinstance(node, ast.AnnAssign):
            after = body[number + 1]
            assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant), ast.unparse(node)


def test_no_other_module_has_times_of_its_own() -> None:
    found: set[tuple[str, str]] = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            match node:
                case ast.Assign(targets=[ast.Name(name)], value=value):
                    pass
                case ast.AnnAssign(target=ast.Name(name), value=ast.expr() as value):
                    pass
                case _:
                    continue
            text = ast.unparse(value)
            is_time = re.search("(^|_)SECONDS$", name) is not None or (
                text.startswith("timedelta(") and "microseconds" not in text
            )
            if is_time and "timeouts." not in text and path.name != "timeouts.py":
                found.add((path.relative_to(SOURCES).as_posix(), name))
    assert found == ELSEWHERE


def test_settings_have_their_times_from_here() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert defaults["run_seconds"] == timeouts.RUN_SECONDS == 21_600
    assert defaults["drain_seconds"] == timeouts.DRAIN_SECONDS == 10
    assert defaults["token_lifetime"] == timeouts.TOKEN_SECONDS == 43_200
    assert defaults["hook_retry_seconds"] == timeouts.HOOK_RETRY_SECONDS == 5
    assert defaults["sweep_seconds"] == timeouts.SWEEP_SECONDS == 3600


def test_the_client_waits_as_long_as_a_server_asks() -> None:
    """The client has its own times, for it talks to other servers too."""
    assert _responses.DEFAULT_RETRY_AFTER == timeouts.START_RETRY_SECONDS
    assert timeouts.LOGIN_THROTTLE_WINDOW_SECONDS <= _responses.LONGEST_RETRY_AFTER
    assert _protocol.LONGEST_POLL_SECONDS < _responses.DEFAULT_RETRY_AFTER


def test_sqlite_is_as_patient_as_said(tmp_path: Path) -> None:
    with create_engine(f"sqlite:///{tmp_path / 'a.db'}").connect() as connection:
        waits = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    assert timedelta(milliseconds=waits) == timedelta(seconds=timeouts.SQLITE_BUSY_SECONDS)
