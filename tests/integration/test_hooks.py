"""Hooks: whoever wants to know is told when a run ends, signed, again until it is taken, and nobody else is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from patience import PATIENCE_SECONDS
from ready import ready
from receiving import Receiver, receiving
from support import result_when_over, serving, whohas
from whohas.db.outbox import OutboxState
from whohas.errors import InvalidArguments, NotFound
from whohas.runs import repository, tables, webhook_messages
from whohas.runs.models import RunState
from whohas.runs.webhook_messages import webhook_message_table, webhook_table
from whohas.services import Services, open_services
from whohas.settings import Settings
from whohas.webhooks.sender import Delivery, is_public, send_all
from whohas.webhooks.service import Webhooks, signature_headers

OPEN = {"WHOHAS_HOOK_PRIVATE_TARGETS": "true", "WHOHAS_HOOK_RETRY_SECONDS": "0.05"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def services(own_home: Path, database_url: str) -> Iterator[Services]:
    settings = Settings(
        home=own_home,
        database_url=database_url or None,
        hook_private_targets=True,
        hook_retry_seconds=60,
        hook_attempts=3,
    )
    with open_services(settings) as opened:
        yield opened


@pytest.fixture(scope="module", params=[False, True], ids=["public", "private"])
def empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """An installation without data and hooks, which may post to private networks or not."""
    home = ready(tmp_path_factory.mktemp("empty") / "home")
    with open_services(Settings(home=home, hook_private_targets=request.param)) as opened:
        yield opened


def verify(secret: str, headers: dict[str, str], body: bytes) -> None:
    """As a receiver does it, by the text of Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert f"v1,{expected}" in headers["webhook-signature"].split()
    assert abs(int(headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < PATIENCE_SECONDS


def ended_run(services: Services, state: RunState = RunState.CANCELLED, **arguments: object) -> str:
    """A run that is over, by the statements that end one."""
    run = services.runs.start("IDENTITIES", arguments, "ann")
    with services.database.begin() as connection:
        if state is RunState.CANCELLED:
            repository.request_cancel(connection, run.id)
        else:
            (claimed,) = repository.claim(connection, "e" * 32, 1)
            assert claimed.id == run.id
            repository.finish(connection, claimed, state, "Done", 7, ())
    return run.id


def due_now(services: Services) -> None:
    with services.database.begin() as connection:
        connection.execute(sa.update(webhook_message_table).values(due=repository.now() - timedelta(seconds=1)))


def test_a_webhook_of_the_command_line_hears_the_servers_runs(own_home: Path, receiver: Receiver) -> None:
    made = whohas(own_home, "hook", "add", f"{receiver.url}/ended?by=whohas", **OPEN).stdout.splitlines()
    secret = made[1].split()[1]
    assert secret.startswith("whsec_")
    receiver.answers = [503, 302]
    with serving(own_home, **OPEN) as server, server.http() as http:
        body = {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Nimbus CRM", "selectedFormats": ["CSV"]}}
        run_id = http.post("/v2025/reports/run", json=body).json()["id"]
        result = result_when_over(http, run_id)
        came = receiver.wait_for(3)
    assert {path for path, _, _ in came} == {"/ended?by=whohas"}
    assert len({headers["webhook-id"] for _, headers, _ in came}) == 1
    assert len({body for _, _, body in came}) == 1
    for _, headers, content in came:
        verify(secret, headers, content)
        assert headers["content-type"] == "application/json"
    told = json.loads(came[0][2])
    assert told["type"] == "run.ended"
    assert told["data"]["id"] == run_id
    assert (told["data"]["completionStatus"], told["data"]["rows"]) == ("SUCCESS", result["rows"])
    assert told["data"]["availableFormats"] == ["CSV"]
    with pytest.raises(AssertionError):
        verify(secret, came[0][1], came[0][2] + b" ")
    listed = whohas(own_home, "hook", "list").stdout
    assert made[0].split()[1] in listed and secret not in listed
    for path in own_home.glob("whohas.db*"):
        assert base64.b64decode(secret[6:]) not in path.read_bytes() and secret.encode() not in path.read_bytes()


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED])
def test_every_end_is_told_once(services: Services, receiver: Receiver, state: RunState) -> None:
    services.webhooks.add(receiver.url)
    run_id = ended_run(services, state)
    assert [services.webhooks.deliver(), services.webhooks.deliver()] == [1, 0]
    ((_, _, body),) = receiver.came
    ended = {RunState.SUCCEEDED: "SUCCESS", RunState.FAILED: "ERROR", RunState.CANCELLED: "TERMINATED"}[state]
    assert (json.loads(body)["data"]["id"], json.loads(body)["data"]["completionStatus"]) == (run_id, ended)


def test_a_run_that_does_not_end_leaves_no_message(services: Services, receiver: Receiver) -> None:
    services.webhooks.add(receiver.url)
    run = services.runs.start("IDENTITIES", {}, "ann")
    with pytest.raises(RuntimeError), services.database.begin() as connection:
        repository.request_cancel(connection, run.id)
        raise RuntimeError("the transaction is lost")
    assert services.webhooks.deliver() == 0
    assert services.runs.get(run.id).state is RunState.QUEUED


def test_a_webhook_for_one_report_hears_that_one_only(services: Services, receiver: Receiver) -> None:
    services.webhooks.add(receiver.url, "ORPHAN_IDENTITIES")
    ended_run(services)
    assert services.webhooks.deliver() == 0


def test_a_message_is_given_up_after_its_last_attempt(services: Services, receiver: Receiver) -> None:
    services.webhooks.add(receiver.url)
    receiver.answers = [500] * 5
    ended_run(services)
    for _ in range(5):
        services.webhooks.deliver()
        assert services.webhooks.deliver() == 0, "it waits between attempts"
        due_now(services)
    assert len(receiver.came) == 3
    ((_, sent),) = services.webhooks.list()
    assert (sent.waiting, sent.delivered, sent.dead, sent.answer) == (0, 0, 1, "HTTP 500")


def test_the_waits_grow_and_an_address_may_ask_for_longer(services: Services, receiver: Receiver) -> None:
    services.webhooks.add(receiver.url)
    receiver.answers = [429, 429]
    ended_run(services)

    def waits(least: float, most: float) -> bool:
        """Whether the next attempt is due so many seconds after one that is made now."""
        before = repository.now()
        services.webhooks.deliver()
        after = repository.now()
        with services.database.connect() as connection:
            due = connection.execute(sa.select(webhook_message_table.c.due)).scalar_one()
        return before + timedelta(seconds=least) <= due <= after + timedelta(seconds=most)

    assert waits(55, 75)
    due_now(services)
    receiver.headers = {"Retry-After": "3600"}
    assert waits(3600, 3600)


def test_an_address_that_is_gone_is_told_nothing_more(services: Services, receiver: Receiver) -> None:
    services.webhooks.add(receiver.url)
    receiver.answers = [410]
    ended_run(services)
    services.webhooks.deliver()
    ended_run(services, timeZone="+05:00")
    assert services.webhooks.deliver() == 0
    ((one, sent),) = services.webhooks.list()
    assert "410" in one.disabled and sent.dead == 1


def test_a_message_claimed_by_a_lost_worker_is_resent(services: Services, receiver: Receiver) -> None:
    services.webhooks.add(receiver.url)
    ended_run(services)
    assert len(services.webhooks._claim_due()) == 1  # and then the worker dies
    assert services.webhooks.deliver() == 0, "it is leased"
    due_now(services)
    assert services.webhooks.deliver() == 1


def test_workers_share_the_messages_and_take_none_twice(services: Services) -> None:
    services.webhooks.add("https://one.example/")
    services.webhooks.add("https://two.example/")
    for zone in range(1, 11):
        ended_run(services, timeZone=f"+{zone:02}:00")
    at, until = repository.now(), repository.now() + timedelta(seconds=60)
    ready = threading.Barrier(4)

    def work(_: int) -> list[webhook_messages.ClaimedMessage]:
        mine: list[webhook_messages.ClaimedMessage] = []
        ready.wait()
        for _ in range(20):
            with services.database.begin() as connection:
                batch = webhook_messages.claim(connection, at, until, 3)
            assert len(batch) <= 3
            mine += batch
        return mine

    with ThreadPoolExecutor(4) as pool:
        taken = [message for mine in pool.map(work, range(4)) for message in mine]
    assert len(taken) == len({(one.hook_id, one.run_id) for one in taken}) == 20
    assert {one.attempt for one in taken} == {1}
    with services.database.connect() as connection:
        assert not webhook_messages.any_due(connection, at)
        assert webhook_messages.any_due(connection, until)


def test_a_message_about_a_run_that_is_gone_is_forgotten(services: Services, receiver: Receiver) -> None:
    services.webhooks.add(receiver.url)
    gone, kept = ended_run(services), ended_run(services, timeZone="+05:00")
    with services.database.begin() as connection:
        connection.execute(sa.delete(tables.run).where(tables.run.c.id == gone))
    assert services.webhooks.deliver() == 1
    assert [json.loads(body)["data"]["id"] for _, _, body in receiver.came] == [kept]
    ((_, sent),) = services.webhooks.list()
    assert (sent.waiting, sent.delivered) == (0, 1)


def test_the_age_of_due_messages_is_the_oldest(services: Services) -> None:
    services.webhooks.add("https://example.com/")
    with services.database.connect() as connection:
        assert webhook_messages.read_overdue(connection, repository.now()) == OutboxState(0, 0.0)
    for zone, age in ((1, 30), (2, 90)):
        run_id = ended_run(services, timeZone=f"+{zone:02}:00")
        at = repository.now() - timedelta(seconds=age)
        with services.database.begin() as connection:
            connection.execute(
                sa.update(webhook_message_table).where(webhook_message_table.c.run_id == run_id).values(due=at)
            )
    with services.database.connect() as connection:
        waiting = webhook_messages.read_overdue(connection, repository.now())
    assert (waiting.count, round(waiting.oldest_seconds, -1)) == (2, 90)


def test_without_the_setting_no_private_address_is_posted_to(own_home: Path, receiver: Receiver) -> None:
    urls = [receiver.url, receiver.url.replace("127.0.0.1", "localhost")]
    with open_services(Settings(home=own_home, hook_private_targets=True)) as services:
        for url in urls:
            services.webhooks.add(url)
    with open_services(Settings(home=own_home)) as services:
        for url in urls:
            with pytest.raises(InvalidArguments, match="private network"):
                services.webhooks.add(url)
        ended_run(services)
        services.webhooks.deliver()
        answers = [sent.answer for _, sent in services.webhooks.list()]
    assert receiver.came == []
    assert all("private network" in answer for answer in answers), answers


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",  # noqa: S104
     "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
     "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    ["", "example.com", "ftp://example.com/", "file:///etc/passwd", "http://", "https://user:pw@example.com/",
     "http://example.com:0/", "http://example.com:99999/", "http://[::1", "http://exa\nmple.com/", "gopher://x/",
     "http://example.com/" + "x" * 2000],
)  # fmt: skip
def test_what_is_no_address_is_refused(empty: Services, url: str) -> None:
    with pytest.raises(InvalidArguments):
        empty.webhooks.add(url)
    assert empty.webhooks.list() == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1/", "http://192.168.1.1:8080/x", "http://169.254.169.254/",
     "http://[fd00::1]/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://0.0.0.0/", "http://8.8.8.8/\n",
     " http://8.8.8.8/", "http://8.8.8.8/\u2028", "http://8.8.8.8/#x", "http://8.8.8.8:1;x/", "http://224.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://127.1/"],
)  # fmt: skip
@pytest.mark.parametrize("empty", [False], ids=["public"], indirect=True)
def test_an_address_that_delivery_would_refuse_is_no_hook(empty: Services, url: str) -> None:
    with pytest.raises(InvalidArguments):
        empty.webhooks.add(url)
    assert empty.webhooks.list() == []


def test_an_old_hook_that_is_no_address_gets_nothing(services: Services, receiver: Receiver) -> None:
    services.webhooks.add(receiver.url)
    old: dict[str, Any] = {
        "id": "f" * 32,
        "url": "http://[::1",
        "report_type": None,
        "created": repository.now(),
        "disabled": "",
    }
    with services.database.begin() as connection:
        connection.execute(sa.insert(webhook_table).values(old))
    ended_run(services)
    services.webhooks.deliver()
    assert len(receiver.came) == 1, "the others get theirs"
    answers = {one.id: sent.answer for one, sent in services.webhooks.list()}
    assert "no address" in answers[old["id"]]
    services.webhooks.remove(old["id"])


def test_unknown_reports_and_hooks_are_refused(services: Services) -> None:
    with pytest.raises(InvalidArguments, match="NOPE"):
        services.webhooks.add("https://example.com/", "NOPE")
    with pytest.raises(NotFound):
        services.webhooks.remove("nope")


def test_a_removed_hook_is_told_nothing(services: Services, receiver: Receiver) -> None:
    made, _ = services.webhooks.add(receiver.url)
    ended_run(services)
    services.webhooks.remove(made.id)
    assert services.webhooks.deliver() == 0
    assert services.webhooks.list() == []


def test_an_address_without_an_answer_is_a_fault() -> None:
    letter = Delivery("http://127.0.0.1:1/", b"{}", {})
    nowhere = Delivery("http://no-such-host.invalid/", b"{}", {})
    for answer in send_all([letter, nowhere], private=True):
        assert not answer.accepted and answer.status is None and answer.detail


def test_secrets_differ_by_hook_and_by_installation(services: Services) -> None:
    other = Webhooks(services.settings, services.database, b"another key" * 3)
    assert len({services.webhooks.secret("a"), services.webhooks.secret("b"), other.secret("a")}) == 3


def test_a_signature_is_that_of_the_published_example() -> None:
    headers = signature_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
