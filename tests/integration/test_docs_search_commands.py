"""The commands on the page of the query language."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support import ROOT, whohas

PAGE = (ROOT / "docs" / "reference" / "search.md").read_text()


def test_the_message_on_the_page_is_real(acme_home: Path) -> None:
    ((command, said),) = re.findall(r"```text\n\$ whohas search '(.*)'\n(.*?)```", PAGE, re.DOTALL)
    done = whohas(acme_home, "search", command)
    assert done.stderr == said


@pytest.mark.parametrize("option", ["--explain", "--phrases", "--time-zone"])
def test_the_options_on_the_page_are_there(acme_home: Path, option: str) -> None:
    assert option in PAGE
    assert option in whohas(acme_home, "search", "--help", COLUMNS="200", NO_COLOR="1").stdout
