"""The log of a command."""

from __future__ import annotations

import io
import sys

import pytest
import structlog

from whohas.cli.installation import log_to_stderr


def test_a_command_logs_to_the_stderr_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = io.StringIO(), io.StringIO()
    log = structlog.get_logger("whohas.test")
    try:
        monkeypatch.setattr(sys, "stderr", first)
        log_to_stderr()
        log.warning("here")
        said = first.getvalue()
        first.close()
        monkeypatch.setattr(sys, "stderr", second)
        log.warning("there")
    finally:
        structlog.reset_defaults()
    assert "here" in said
    assert "there" in second.getvalue()
