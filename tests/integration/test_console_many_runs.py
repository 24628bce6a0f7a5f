"""Pages of the console with a hundred thousand runs: as many statements as with a few, and no more rows."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from console import HTML
from factories import add_ended_runs
from patience import PATIENCE_SECONDS
from ready import ready
from whohas.api.app import create_app
from whohas.audit.events import SYSTEM
from whohas.auth import session_caller
from whohas.services import Services, open_services
from whohas.settings import Settings

FEW, MANY, PAGE = 100, 100_000, 50
PAGES = {
    "": 8, "/runs": PAGE, "/runs?order=-rows": PAGE, "/runs?order=launcher": PAGE, "/runs?page=2": PAGE,
    "/runs?text=number+1": None, "/runs?state=failed": None, f"/runs/{1:032x}": 0,
}  # fmt: skip
"""Pages, and the runs that each lists; None: as many as match, but a page at most."""


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_runs(tmp_path_factory.mktemp("few") / "home", FEW)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_runs(tmp_path_factory.mktemp("many") / "home", MANY)


def with_runs(home: Path, count: int) -> Path:
    add_ended_runs(ready(home), count)
    return home


def pages(home: Path) -> dict[str, tuple[list[str], int]]:
    """The statements of each page when it is asked for a second time, and the runs that it lists."""
    with open_services(Settings(home=home)) as services:
        return asyncio.run(_pages(services))


async def _pages(services: Services) -> dict[str, tuple[list[str], int]]:
    caller = session_caller(services.access.users.create("ann", ["ORG_ADMIN"]))
    cookie = {"whohas-session": services.access.sessions.start(caller, SYSTEM)}
    transport = httpx2.ASGITransport(create_app(services))
    statements: list[str] = []

    def record(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(re.sub(r"\s+", " ", statement))

    sa.event.listen(services.database, "before_cursor_execute", record)
    found: dict[str, tuple[list[str], int]] = {}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://test", headers=HTML, cookies=cookie, timeout=PATIENCE_SECONDS
    ) as http:
        for path in PAGES:
            await http.get(f"/console{path}")
            statements.clear()
            answer = await http.get(f"/console{path}")
            assert answer.status_code == 200, answer.text
            listed = set(re.findall(r'<th scope="row"><a href="/console/runs/(\w+)"', answer.text))
            found[path] = ([*statements], len(listed))
    return found


def test_a_page_reads_no_more_with_many_runs(few: Path, many: Path) -> None:
    with_few, with_many = pages(few), pages(many)
    assert {path: one[0] for path, one in with_many.items()} == {path: one[0] for path, one in with_few.items()}
    expected = {path: min(PAGE, PAGES[path] if PAGES[path] is not None else PAGE) for path in PAGES}  # pyright: ignore[reportArgumentType]
    assert {path: one[1] for path, one in with_many.items()} == expected
    assert max(len(one[0]) for one in with_many.values()) < 20
