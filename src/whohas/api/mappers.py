"""Maps runs to the response bodies of the contract.

The contract has no status for a run that is queued or running: the status is null until the run is over.
"""

from __future__ import annotations

from whohas.contract import (
    CompletionStatus,
    ReportResults,
    ResultStatus,
    TaskMessage,
    TaskResultDetails,
    TaskType,
)
from whohas.runs.models import Message, MessageLevel, Run, RunState

# `completionStatus` of a start and of a task
COMPLETION_STATUS = {
    RunState.SUCCEEDED: CompletionStatus.SUCCESS,
    RunState.WARNED: CompletionStatus.WARNING,
    RunState.FAILED: CompletionStatus.ERROR,
    RunState.CANCELLED: CompletionStatus.TERMINATED,
}

# `status` of a result
RESULT_STATUS = {
    RunState.SUCCEEDED: ResultStatus.SUCCESS,
    RunState.WARNED: ResultStatus.WARNING,
    RunState.FAILED: ResultStatus.FAILURE,
    RunState.CANCELLED: ResultStatus.TERMINATED,
}


_MOST_MESSAGES = 20
"""The most messages in a result; clients poll results, and a search export may have hundreds of messages."""


def task_result_details(run: Run) -> TaskResultDetails:
    """Return the response body of a start, with all messages of the run."""
    return TaskResultDetails(
        type=TaskType.QUEUED_TASK,
        id=run.id,
        reportType=run.report_type,
        description=run.description,
        parentName=None,
        launcher=run.launcher,
        created=run.created,
        launched=run.launched,
        completed=run.completed,
        completionStatus=COMPLETION_STATUS.get(run.state),
        messages=[_message(message) for message in run.messages],
        returns=[],
        attributes=dict(run.attributes),
        progress=run.progress,
        taskDefName=run.report_name,
    )


def report_results(run: Run) -> ReportResults:
    """Return the response body of `GET /{id}/result`, with the first 20 messages of the run."""
    over = run.state.is_over
    finished = {artefact.format for artefact in run.artefacts}
    return ReportResults(
        reportType=run.report_type,
        taskDefName=run.report_name,
        id=run.id,
        created=run.created,
        status=RESULT_STATUS.get(run.state),
        duration=run.duration if over else None,
        rows=run.rows if over else None,
        # only formats that the start requested: a client of the published API may not know others made later
        availableFormats=[format.upper() for format in run.formats if format in finished] if over else None,
        progress=run.progress,
        percentComplete=run.percent,
        messages=[_message(message) for message in run.messages[:_MOST_MESSAGES]],
        messageCount=len(run.messages),
        snapshot=run.snapshot,
    )


def _message(message: Message) -> TaskMessage:
    return TaskMessage(
        type=message.level.value,
        error=message.level is MessageLevel.ERROR,
        warning=message.level is MessageLevel.WARN,
        key=message.key,
        localizedText=message.text,
    )
