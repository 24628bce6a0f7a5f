"""A run in the contract's words: one pair of statuses for each state, null until it is over."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from whohas.api.mappers import report_results, task_result_details
from whohas.runs.models import Message, MessageLevel, Run, RunId, RunState
from whohas.storage import Artifact

CREATED = datetime(2026, 3, 1, 9, 30, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
RUN = Run(
    id=RunId("0" * 32),
    report_type="ACCOUNTS",
    report_name="Accounts Report",
    description="Accounts.",
    arguments={"application": "ad"},
    key="k",
    attributes={"org": "acme"},
    state=RunState.QUEUED,
    snapshot=1,
    launcher="nightly",
    created=CREATED,
    launched=None,
    completed=None,
    rows=None,
    progress="Queued",
    percent=0,
    attempt=0,
    formats=("csv",),
    messages=(),
    artefacts=(),
)
FILE = Artifact("csv", "1-accounts.csv", "", 10, 7, "0" * 64)
OVER = {"launched": CREATED, "completed": CREATED + timedelta(seconds=1.5), "rows": 7, "percent": 100}


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING, RunState.CANCELLING])
def test_an_active_run_has_no_status_rows_or_formats(state: RunState) -> None:
    run = replace(RUN, state=state, rows=1_000, launched=CREATED)
    assert task_result_details(run).completionStatus is None
    result = report_results(run)
    assert (result.status, result.duration, result.rows, result.availableFormats) == (None, None, None, None)


@pytest.mark.parametrize(
    ("state", "completion", "status"),
    [
        (RunState.SUCCEEDED, "SUCCESS", "SUCCESS"),
        (RunState.WARNED, "WARNING", "WARNING"),
        (RunState.FAILED, "ERROR", "FAILURE"),
        (RunState.CANCELLED, "TERMINATED", "TERMINATED"),
    ],
)
def test_both_apis_name_each_end_in_their_words(state: RunState, completion: str, status: str) -> None:
    run = replace(RUN, state=state, **OVER)
    assert task_result_details(run).completionStatus == completion
    assert report_results(run).status == status


def test_a_failed_run_has_no_formats_and_says_why() -> None:
    messages = (
        Message(MessageLevel.ERROR, "engine.failed", "The disk is full."),
        Message(MessageLevel.WARN, "x", "Careful."),
    )
    result = report_results(replace(RUN, state=RunState.FAILED, messages=messages, **OVER))
    assert result.availableFormats == []
    assert [(m.type, m.error, m.warning, m.key, m.localizedText) for m in result.messages] == [
        ("ERROR", True, False, "engine.failed", "The disk is full."),
        ("WARN", False, True, "x", "Careful."),
    ]


def test_times_are_utc_with_milliseconds_and_numbers_are_whole() -> None:
    run = replace(RUN, state=RunState.SUCCEEDED, artefacts=(FILE,), **OVER)
    result = json.loads(report_results(run).model_dump_json())
    assert result["created"] == "2026-03-01T07:30:00.123Z"
    assert (result["duration"], result["rows"], result["availableFormats"]) == (1500, 7, ["CSV"])
    details = json.loads(task_result_details(run).model_dump_json())
    assert (details["launched"], details["completed"]) == ("2026-03-01T07:30:00.123Z", "2026-03-01T07:30:01.623Z")


def test_a_time_without_a_zone_counts_as_utc() -> None:
    run = replace(RUN, created=datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None))
    assert '"created":"2026-03-01T00:00:00.000Z"' in report_results(run).model_dump_json()
