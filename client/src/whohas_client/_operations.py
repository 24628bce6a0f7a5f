"""Operations of the clients that combine calls of the protocol with local work, as generators of steps."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from whohas_client._arguments import check_source, make_arguments
from whohas_client._formats import FileKind
from whohas_client._protocol import ReportsProtocol, Steps
from whohas_client._saving import save_to_path
from whohas_client.contract import ReportDetails, TaskResultDetails
from whohas_client.errors import InvalidArguments, ReportWarning

_IGNORED = "arguments.ignored"
"""The key of the message of whohas about arguments that a report does not have."""
_STACK = 4
"""Frames from a warning of `Operations.run` to the caller of `Client.run`."""


class Operations:
    """The operations of one client; `Client` describes them."""

    def __init__(self, protocol: ReportsProtocol) -> None:
        self._protocol = protocol

    def run(
        self,
        report_type: str,
        arguments: Mapping[str, Any] | None,
        source: str | None,
        formats: str | Iterable[str] | None,
        keywords: Mapping[str, Any],
    ) -> Steps[str]:
        """Start a run and return its id; see `Client.run`."""
        made = make_arguments(arguments, formats, keywords)
        if source is not None:
            check_source(report_type, made)
            made |= yield from self._protocol.resolve_source(report_type, source)
        run = yield from self._protocol.start(report_type, made)
        assert run.id is not None
        for message in run.messages:
            if message.key == _IGNORED:
                warnings.warn(message.localizedText or "", ReportWarning, stacklevel=_STACK)
        return run.id

    def download(
        self, run_id: str, format: str, to: Path, name: str | None, auditable: bool | None = None
    ) -> Steps[Path]:
        """Download a file of a run as the server sends it; see `Client.download`."""
        kind = FileKind(format.lower(), None)
        return save_to_path(self._protocol, run_id, kind, to, name=name, auditable=bool(auditable))

    def start_report(self, report_details: object) -> Steps[TaskResultDetails]:
        """Start a run; see `Client.start_report`."""
        details = _details(report_details)
        return self._protocol.start(details.reportType, details.arguments)

    def get_report(self, run_id: str, format: str, name: str | None, auditable: bool | None) -> Steps[str]:
        """Save a file of a run in the current folder; see `Client.get_report`."""
        return str((yield from self.download(run_id, format, Path.cwd(), name, auditable)))


def _details(given: object) -> ReportDetails:
    if isinstance(given, ReportDetails):
        return given
    to_dict = getattr(given, "to_dict", None)  # the models of the official SDK
    body: object = to_dict() if callable(to_dict) else given
    if not isinstance(body, Mapping):
        raise InvalidArguments("report_details must be a dict with reportType and arguments, or a ReportDetails.")
    fields = cast("Mapping[str, Any]", body)
    report_type, arguments = fields.get("reportType"), fields.get("arguments")
    if not isinstance(report_type, str) or not (arguments is None or isinstance(arguments, Mapping)):
        raise InvalidArguments("report_details needs reportType, a text, and may have arguments, a dict.")
    return ReportDetails(reportType=report_type, arguments=cast("dict[str, Any] | None", arguments))
