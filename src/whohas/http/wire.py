"""A run in the contract's words. There is no RUNNING on the wire: a status is null until the run is over."""

from __future__ import annotations

from whohas.contract import (
    CompletionStatus,
    ReportResults,
    ResultStatus,
    TaskMessage,
    TaskResultDetails,
    TaskType,
)
from whohas.runs.model import Level, Message, Run, State

COMPLETION = {
    State.SUCCEEDED: CompletionStatus.SUCCESS,
    State.WARNED: CompletionStatus.WARNING,
    State.FAILED: CompletionStatus.ERROR,
    State.CANCELLED: CompletionStatus.TERMINATED,
}

STATUS = {
    State.SUCCEEDED: ResultStatus.SUCCESS,
    State.WARNED: ResultStatus.WARNING,
    State.FAILED: ResultStatus.FAILURE,
    State.CANCELLED: ResultStatus.TERMINATED,
}


_MOST_MESSAGES = 20


def task_result_details(run: Run) -> TaskResultDetails:
    """The answer to a start."""
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
        completionStatus=COMPLETION.get(run.state),
        messages=[_message(message) for message in run.messages],
        returns=[],
        attributes=dict(run.attributes),
        progress=run.progress,
        taskDefName=run.report_name,
    )


def report_results(run: Run) -> ReportResults:
    """The answer to the question what became of a run."""
    over = run.state.over
    made = {artefact.format for artefact in run.artefacts}
    return ReportResults(
        reportType=run.report_type,
        taskDefName=run.report_name,
        id=run.id,
        created=run.created,
        status=STATUS.get(run.state),
        duration=run.duration if over else None,
        rows=run.rows if over else None,
        # the ones that were asked for: a client of the published API knows no others
        availableFormats=[format.upper() for format in run.formats if format in made] if over else None,
        progress=run.progress,
        percentComplete=run.percent,
        # a client asks many times, and a search may have hundreds
        messages=[_message(message) for message in run.messages[:_MOST_MESSAGES]],
        messageCount=len(run.messages),
        snapshot=run.snapshot,
    )


def _message(message: Message) -> TaskMessage:
    return TaskMessage(
        type=message.level.value,
        error=message.level is Level.ERROR,
        warning=message.level is Level.WARN,
        key=message.key,
        localizedText=message.text,
    )
