"""A clock that jumps ahead and back by an hour, a day or a year: nothing waits, is lost or is repeated for as long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from clocks import Clock
from factories import publish, queued_run
from ready import ready
from whohas.auth import clients as clients_module
from whohas.auth import codes as codes_module
from whohas.auth import keys as keys_module
from whohas.auth import throttle, tokens
from whohas.auth.clients import Clients
from whohas.auth.codes import AuthorizationCodes
from whohas.auth.keys import SigningKeys, open_keys
from whohas.auth.throttle import DatabaseWindowCounter
from whohas.auth.tokens import AccessTokens
from whohas.auth.users import Users
from whohas.db.engine import create_engine
from whohas.errors import Unauthorized
from whohas.execution import lease, progress, sweeper
from whohas.execution.lease import AdvisoryLockLease
from whohas.execution.sweeper import Sweeper
from whohas.retention.service import Retention
from whohas.runs import repository, webhook_messages
from whohas.runs.models import RunState
from whohas.schedules import service
from whohas.schedules.service import Schedules, schedule
from whohas.settings import Settings
from whohas.storage.folder import FolderStore
from whohas.warehouse import store
from whohas.warehouse.store import Warehouse

DAY, YEAR = 1, 366
JUMPS = [1 / 24, DAY, YEAR]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = create_engine(f"sqlite:///{ready(tmp_path) / 'whohas.db'}")
    yield engine
    engine.dispose()


@pytest.mark.parametrize("days", JUMPS)
def test_a_rate_limits_window_ends_when_the_clock_goes_back(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    clock, counts = Clock(monkeypatch, throttle), DatabaseWindowCounter(database)
    clock.set(days=days)
    assert [counts.add("a", 300).events for _ in range(3)] == [1, 2, 3]
    clock.set()
    assert counts.get("a").events == 0
    assert [counts.add("a", 300).events for _ in range(2)] == [1, 2]
    assert counts.get("a").events == 2
    clock.set(days=days)
    assert counts.get("a").events == 0


def test_clocks_of_servers_that_differ_a_little_share_a_window(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, counts = Clock(monkeypatch, throttle), DatabaseWindowCounter(database)
    for seconds, events in ((4, 1), (0, 2), (4, 3)):
        clock.set(seconds=seconds)
        assert counts.add("a", 10).events == events


@pytest.fixture
def clients(database: sa.Engine) -> Clients:
    return Clients(database, b"k" * 32)


@pytest.fixture
def signing(home: Path) -> SigningKeys:
    return open_keys(home).signing


def test_a_client_renewed_under_a_wrong_clock_can_call_again(
    clients: Clients, signing: SigningKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuing = AccessTokens(clients, signing, issuer="acme", lifetime=43_200)
    made = clients.create("nightly", ["sp:report:read"]).client
    clock = Clock(monkeypatch, clients_module, tokens)
    clock.set(days=YEAR)
    before = issuing.issue(made)
    client = clients.rotate_secret(made.id, end_tokens=True).client
    clock.set()
    issuing = AccessTokens(clients, signing, issuer="acme", lifetime=43_200)
    assert issuing.verify(issuing.issue(client).text).id == client.id
    with pytest.raises(Unauthorized):
        issuing.verify(before.text)


@pytest.mark.parametrize(("days", "good"), [(1 / 24, True), (2, False), (YEAR, False)])
def test_a_token_of_a_clock_far_ahead_is_refused_later(
    clients: Clients, signing: SigningKeys, monkeypatch: pytest.MonkeyPatch, days: float, good: bool
) -> None:
    issuing = AccessTokens(clients, signing, issuer="acme", lifetime=43_200)
    client = clients.create("nightly", ["sp:report:read"]).client
    clock = Clock(monkeypatch, tokens)
    clock.set(days=days)
    token = issuing.issue(client).text
    assert issuing.verify(token).id == client.id
    clock.set()
    if good:
        assert issuing.verify(token).id == client.id
    else:
        with pytest.raises(Unauthorized, match="more than a day ahead of this server's clock"):
            issuing.verify(token)
    longer = AccessTokens(clients, signing, issuer="acme", lifetime=60 * 86_400)
    assert issuing.verify(longer.issue(client).text).id == client.id, "a setting that was lowered is no wrong clock"


def test_a_key_of_the_future_signs_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, keys_module)
    first = open_keys(home).signing.signing_key()
    clock.set(days=YEAR)
    future = open_keys(home).signing.rotate()
    assert open_keys(home).signing.signing_key().id == future.id
    clock.set()
    back = open_keys(home, period=86_400).signing
    assert back.signing_key().id == first.id
    assert back.find(future.id) is not None
    new = back.rotate()
    assert back.signing_key().id == new.id
    (home / "keys" / first.name).unlink()
    (home / "keys" / new.name).unlink()
    alone = open_keys(home).signing.signing_key()
    assert alone.id not in (first.id, new.id, future.id)
    assert open_keys(home).signing.signing_key().id == alone.id, "it is made once"


def test_a_sign_in_code_expires_after_a_minute(
    database: sa.Engine, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Users(database).create("ann", ["REPORT_ADMIN"])
    client = clients.create("app", ["sp:report:read"], redirects=["https://app.example/cb"]).client
    clock, codes = Clock(monkeypatch, codes_module), AuthorizationCodes(database, clients)
    for ahead, behind in ((YEAR, 0), (0, YEAR), (0, 1 / 24), (0, DAY)):
        clock.set(days=ahead)
        code = codes.issue(client, person, "https://app.example/cb", "c" * 43, ("sp:report:read",))
        clock.set(days=-behind)
        with pytest.raises(Unauthorized, match="expired"):
            codes.redeem(code, client.id, "https://app.example/cb", "v" * 43)


@pytest.fixture
def planned(database: sa.Engine) -> Schedules:
    class NoRuns:
        pass

    return Schedules(database, NoRuns())  # type: ignore[arg-type]


def insert(database: sa.Engine, cron: str, next_at: datetime, last_at: datetime | None, paused: bool = False) -> None:
    values = {
        "id": f"{cron} {last_at}"[:32], "name": f"{cron} {last_at} {paused}", "report_type": "ACCOUNTS", "arguments": {},
        "cron": cron, "time_zone": "UTC", "launcher": "ann", "owner": None, "paused": paused,
        "created": next_at - timedelta(days=400), "next_at": next_at, "last_at": last_at, "last_run": None,
        "last_error": "",
    }  # fmt: skip
    with database.begin() as connection:
        connection.execute(sa.insert(schedule).values(values))


def due(database: sa.Engine) -> list[datetime]:
    with database.connect() as connection:
        return list(connection.execute(sa.select(schedule.c.next_at)).scalars())


@pytest.mark.parametrize("cron", ["* * * * *", "7 * * * *", "0 6 * * *", "0 6 * * MON", "30 2 1 1 *"])
@pytest.mark.parametrize("days", [2 / 24, DAY, YEAR])
def test_a_schedule_does_not_wait_for_a_fast_clock(
    database: sa.Engine, planned: Schedules, cron: str, days: float
) -> None:
    at = repository.now()
    wrong = at + timedelta(days=days)
    insert(database, cron, service.next_time(cron, "UTC", wrong), wrong)
    planned.correct_next_times()
    assert due(database) == [service.next_time(cron, "UTC", at)]
    assert planned.correct_next_times() == 0


def test_times_that_a_clock_repeats_do_not_count_twice(database: sa.Engine, planned: Schedules) -> None:
    for back in (timedelta(seconds=2), timedelta(minutes=59)):
        fired = repository.now() + back
        insert(database, "* * * * *", service.next_time("* * * * *", "UTC", fired), fired)
    assert planned.correct_next_times() == 0


def test_schedules_that_are_right_stay(database: sa.Engine, planned: Schedules) -> None:
    at = repository.now()
    for cron in ("* * * * *", "0 6 * * *", "30 2 1 1 *"):
        insert(database, cron, service.next_time(cron, "UTC", at), at - timedelta(days=3))
    insert(database, "1 1 1 1 *", at + timedelta(days=900), None, paused=True)
    before = due(database)
    assert planned.correct_next_times() == 0 and due(database) == before


@pytest.mark.parametrize(("days", "comes"), [(-1, True), (0.4, False), (1.1, True), (YEAR, True)])
def test_a_webhook_message_is_sent_within_a_day(database: sa.Engine, days: float, comes: bool) -> None:
    at = repository.now()
    with database.begin() as connection:
        hook = {"id": "h" * 32, "url": "https://example.com/", "report_type": None, "created": at, "disabled": ""}
        connection.execute(sa.insert(webhook_messages.webhook_table).values(hook))
        message = {"hook_id": "h" * 32, "run_id": "r" * 32, "state": "waiting", "attempts": 1, "answer": ""}
        connection.execute(
            sa.insert(webhook_messages.webhook_message_table).values({**message, "due": at + timedelta(days=days)})
        )
        assert webhook_messages.any_due(connection, at) is comes
        assert len(webhook_messages.claim(connection, at, at + timedelta(seconds=120), 10)) == int(comes)


def test_a_run_under_a_wrong_clock_ends_after_it_began(database: sa.Engine) -> None:
    with database.begin() as connection:
        ahead = queued_run(1, 0)
        assert repository.insert(connection, ahead, single_flight=False)
        (claimed,) = repository.claim(connection, "e" * 32, 1)
        future = claimed.__class__(**{**vars_of(claimed), "launched": repository.now() + timedelta(days=YEAR)})
        assert repository.finish(connection, future, RunState.SUCCEEDED, "Done", 0, ())
        done = repository.get(connection, claimed.id)
    assert done is not None and done.completed is not None and done.launched is not None
    assert done.completed >= done.launched and done.duration == 0


def vars_of(run: object) -> dict[str, object]:
    return {name: getattr(run, name) for name in run.__dataclass_fields__}  # type: ignore[attr-defined]


@pytest.mark.parametrize("days", [-YEAR, -1 / 24, 1 / 24, YEAR])
def test_a_phase_lasts_as_long_as_it_does(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    clock = Clock(monkeypatch, progress)
    one = progress.RunProgress(lambda **_: None, [1.0])
    one.begin_phase("Extracting")
    clock.set(days=days)
    (phase,) = one.end_phases()
    assert 0 <= phase["ended"] - phase["began"] < 60


def test_loads_are_in_order_also_where_the_clock_went_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, warehouse = Clock(monkeypatch, store), Warehouse(tmp_path / "warehouse")
    ids: list[str] = []
    for days in (0, YEAR, 0, -YEAR):
        clock.set(days=days)
        ids.append(publish(warehouse, [{"id": "s", "name": "S", "accountAttributes": []}]).load_id)
    assert ids == sorted(ids) and len({len(one) for one in ids}) == 1
    assert warehouse.snapshot().number == 4


class Steady:
    """Both clocks of a sweeper; they go on together unless the one on the wall is set."""

    def __init__(self) -> None:
        self.wall, self.steady = datetime(2026, 6, 1, tzinfo=UTC), 1000.0

    def go_on(self, hours: float) -> None:
        self.wall += timedelta(hours=hours)
        self.steady += hours * 3600


class Noting:
    """A retention that only notes whether things go for their age."""

    def __init__(self, database: sa.Engine) -> None:
        self.database = database
        self.by_age: list[bool] = []

    def sweep(self, *, by_age: bool) -> list[object]:
        self.by_age.append(by_age)
        return []


def started(database: sa.Engine, number: int, at: datetime) -> None:
    with database.begin() as connection:
        run = queued_run(number)
        values = {**vars_of(run), "created": at}
        assert repository.insert(connection, run.__class__(**values), single_flight=False)


@pytest.mark.parametrize("days", [2, YEAR, -2, -YEAR])
def test_nothing_expires_for_a_day_after_a_clock_jump(database: sa.Engine, days: float) -> None:
    clock, noting = Steady(), Noting(database)
    one = Sweeper(noting, lambda: clock.wall, lambda: clock.steady)  # type: ignore[arg-type]
    one.sweep()
    clock.go_on(1)
    one.sweep()
    clock.wall += timedelta(days=days)
    for _ in range(24):
        one.sweep()
        clock.go_on(1)
    assert noting.by_age == [True, True, *[False] * 24]
    one.sweep()
    assert noting.by_age[-1]


def test_a_clock_that_was_wrong_for_an_hour_removes_nothing(database: sa.Engine) -> None:
    clock, noting = Steady(), Noting(database)
    one = Sweeper(noting, lambda: clock.wall, lambda: clock.steady)  # type: ignore[arg-type]
    for jump in (YEAR, -YEAR):
        clock.wall += timedelta(days=jump)
        one.sweep()
        clock.go_on(1)
    assert noting.by_age == [False, False]


@pytest.mark.parametrize("hours", [-12, -1, 1, 12])
def test_small_jumps_change_nothing(database: sa.Engine, hours: float) -> None:
    clock, noting = Steady(), Noting(database)
    one = Sweeper(noting, lambda: clock.wall, lambda: clock.steady)  # type: ignore[arg-type]
    clock.wall += timedelta(hours=hours)
    one.sweep()
    assert noting.by_age == [True]


@pytest.mark.parametrize(
    ("ages", "trusted"),
    [
        ([], True),
        ([0.5], True),
        ([3], True),
        ([400, 20, 0.1], True),
        ([400], False),
        ([400, 0.1], False),
        ([400, 366], False),
    ],
)
def test_a_start_after_a_long_gap_waits_a_day(database: sa.Engine, ages: list[float], trusted: bool) -> None:
    clock, noting = Steady(), Noting(database)
    for number, age in enumerate(ages):
        started(database, number, clock.wall - timedelta(days=age))
    one = Sweeper(noting, lambda: clock.wall, lambda: clock.steady)  # type: ignore[arg-type]
    one.sweep()
    clock.go_on(25)
    one.sweep()
    assert noting.by_age == [trusted, True]


def test_a_sweep_that_trusts_no_clock_removes_only_for_room(database: sa.Engine, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, keep_files_days=90, keep_runs_days=400, keep_files_bytes=0)
    kept = Retention(settings, database, FolderStore(tmp_path / "artefacts"))
    started(database, 1, repository.now() - timedelta(days=900))
    with database.begin() as connection:
        (claimed,) = repository.claim(connection, "e" * 32, 1)
        assert repository.finish(connection, claimed, RunState.SUCCEEDED, "Done", 0, ())
        connection.execute(sa.text("UPDATE run SET completed = created"))
    assert Sweeper(kept).sweep() == []
    assert [one.run_id for one in kept.sweep()] == [claimed.id]
    assert sweeper.Sweeper(kept).sweep() == []


def test_how_long_a_worker_is_silent_is_measured_here(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, mine = Steady(), AdvisoryLockLease(database)
    seen = clock.wall
    monkeypatch.setattr(lease.time, "monotonic", lambda: clock.steady)
    measure = mine._silent_seconds  # pyright: ignore[reportPrivateUsage]
    assert measure("a", seen) == 0
    clock.go_on(1)
    assert measure("a", seen) == 3600
    assert measure("a", seen - timedelta(days=YEAR)) == 0, "a heartbeat, whatever time it names"
    assert measure("b", seen) == 0
