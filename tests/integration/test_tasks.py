"""The task-status operations: what became of runs, in the published form."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support import Server, result_when_over, serving, whohas

PREFIXES = ["/beta/task-status", "/v2024/task-status", "/v2025/task-status", "/v2026/task-status", "/task-status/v1"]
REQUIRED = {
    "id", "type", "uniqueName", "description", "parentName", "attributes", "created", "modified", "launched",
    "launcher", "completed", "completionStatus", "messages", "progress", "percentComplete", "returns",
}  # fmt: skip
CANCEL = [{"op": "replace", "path": "/completionStatus", "value": "TERMINATED"}]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("postgres").ready_database() if request.param == "postgresql" else ""


@pytest.fixture(scope="module")
def on(database: str, acme_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on examples/acme and that database, with nothing run yet."""
    home = tmp_path_factory.mktemp("tasks") / "home"
    shutil.copytree(acme_home / "warehouse", home / "warehouse")
    with serving(home, WHOHAS_DATABASE_URL=database) as server:
        yield server


@pytest.fixture(scope="module")
def http(on: Server) -> Iterator[httpx2.Client]:
    with on.http() as client:
        yield client


@pytest.fixture(scope="module")
def runs(http: httpx2.Client) -> dict[str, str]:
    """A run of a source and one of identities, both over."""
    bodies = {
        "ACCOUNTS": {"sourceName": "Nimbus CRM", "unknown": 1, "selectedFormats": ["CSV"]},
        "IDENTITIES": {"selectedFormats": ["CSV"]},
    }
    made = {
        type: http.post("/v2025/reports/run", json={"reportType": type, "arguments": arguments}).json()["id"]
        for type, arguments in bodies.items()
    }
    for run_id in made.values():
        result_when_over(http, run_id)
    return made


def listed(http: httpx2.Client, **query: Any) -> list[dict[str, Any]]:
    return http.get("/v2025/task-status", params=query).raise_for_status().json()


def text_of(response: httpx2.Response, status: int = 400) -> str:
    assert response.status_code == status, response.text
    return response.json()["messages"][0]["text"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_run_is_a_complete_task_under_every_prefix(http: httpx2.Client, runs: dict[str, str], prefix: str) -> None:
    task = http.get(f"{prefix}/{runs['ACCOUNTS']}").raise_for_status().json()
    assert set(task) >= REQUIRED
    assert [name for name in REQUIRED if task[name] is None] == ["parentName"]
    assert (task["type"], task["uniqueName"], task["launcher"]) == ("QUEUED_TASK", "Accounts Report", "dev")
    assert (task["completionStatus"], task["percentComplete"]) == ("SUCCESS", 100)
    (message,) = task["messages"]
    assert message["localizedText"]["locale"] == "en-US"
    assert "no argument unknown" in message["localizedText"]["message"]
    assert task["target"]["type"] == "APPLICATION" and task["target"]["name"] == "Nimbus CRM"
    assert set(task["taskDefinitionSummary"]["arguments"]) == {"application", "sourceName"}
    assert runs["ACCOUNTS"] in {one["id"] for one in http.get(prefix).json()}
    assert isinstance(http.get(f"{prefix}/pending-tasks").json(), list)


def test_a_run_on_no_source_has_no_target(http: httpx2.Client, runs: dict[str, str]) -> None:
    assert http.get(f"/v2025/task-status/{runs['IDENTITIES']}").json()["target"] is None


def test_the_list_is_filtered_sorted_paged_and_counted(http: httpx2.Client, runs: dict[str, str]) -> None:
    both = f'id in ("{runs["ACCOUNTS"]}", "{runs["IDENTITIES"]}")'
    source = http.get(f"/v2025/task-status/{runs['ACCOUNTS']}").json()["target"]["id"]

    def ids(filters: str, **query: Any) -> list[str]:
        return [task["id"] for task in listed(http, filters=f"{both} and ({filters})", **query)]

    assert ids('completionStatus eq "Success"', sorters="created") == [runs["ACCOUNTS"], runs["IDENTITIES"]]
    assert ids('launcher eq "dev"', sorters="-created") == [runs["IDENTITIES"], runs["ACCOUNTS"]]
    assert ids(f'sourceId eq "{source}"') == [runs["ACCOUNTS"]]
    assert ids('type eq "IDENTITIES"') == [runs["IDENTITIES"]]
    assert len(ids('type in ("QUEUED_TASK", "QUARTZ")')) == 2
    assert ids('type eq "CLOUD_ACCOUNT_AGGREGATION"') == []
    assert ids("completionStatus isnull") == []
    assert ids('completionStatus eq "TEMPERROR"') == []
    first = http.get("/v2025/task-status", params={"filters": both, "limit": 1, "count": "True", "sorters": "created"})
    assert (len(first.json()), first.headers["X-Total-Count"]) == (1, "2")
    second = http.get("/v2025/task-status", params={"filters": both, "limit": 1, "offset": 1, "sorters": "created"})
    assert [task["id"] for task in second.json()] == [runs["IDENTITIES"]]
    assert "X-Total-Count" not in second.headers
    none = http.get("/v2025/task-status", params={"filters": both, "limit": 0, "count": "true"})
    assert (none.json(), none.headers["X-Total-Count"]) == ([], "2")
    head = http.head("/v2025/task-status/pending-tasks", params={"count": "true"})
    assert (head.status_code, head.headers["X-Total-Count"], head.content) == (200, "0", b"")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"filters": 'completionStatus eq "Done"'}, "at character 21: completionStatus is never 'Done'"),
        ({"filters": "launcher isnull"}, "at character 10"),
        ({"filters": "id eq"}, "at character 6"),
        ({"sorters": "launcher"}, "sorters"),
        ({"limit": 251}, "limit"),
        ({"limit": -1}, "limit"),
        ({"offset": 2**31}, "offset"),
        ({"count": "perhaps"}, "count"),
    ],
)
def test_wrong_queries_are_refused(http: httpx2.Client, query: dict[str, Any], says: str) -> None:
    assert says in text_of(http.get("/v2025/task-status", params=query))


def test_tasks_need_their_own_scope(on: Server, database: str, runs: dict[str, str]) -> None:
    def as_client(scope: str) -> httpx2.Client:
        made = whohas(
            on.home, "client", "create", f"only {scope}", "--scope", scope, "--level", "ORG_ADMIN", "--json",
            WHOHAS_DATABASE_URL=database,
        )  # fmt: skip
        facts = httpx2.Response(200, text=made.stdout).json()
        limited = Server(on.process, on.home, on.url, facts["id"], facts["secret"], on.log)
        return limited.http("/v2025")

    with as_client("idn:task-management:read") as reader:
        assert reader.get(f"/task-status/{runs['ACCOUNTS']}").status_code == 200
        assert "idn:task-management:write" in text_of(
            reader.patch(f"/task-status/{runs['ACCOUNTS']}", json=CANCEL), 403
        )
        assert reader.get(f"/reports/{runs['ACCOUNTS']}/result").status_code == 403
    with as_client("sp:report:read") as other:
        assert "idn:task-management:read" in text_of(other.get("/task-status"), 403)


def test_unknown_tasks_are_not_found(http: httpx2.Client) -> None:
    assert "There is no run" in text_of(http.get(f"/v2025/task-status/{'0' * 32}"), 404)
    assert http.get("/v2025/task-status/x").status_code == 404
    assert http.patch(f"/v2025/task-status/{'0' * 32}", json=CANCEL).status_code == 404


def test_a_patch_cannot_change_what_a_task_came_to(http: httpx2.Client, runs: dict[str, str]) -> None:
    path = f"/v2025/task-status/{runs['ACCOUNTS']}"
    assert "ended as SUCCESS" in text_of(http.patch(path, json=CANCEL), 409)
    same = [
        {"op": "replace", "path": "/completionStatus", "value": "SUCCESS"},
        {"op": "add", "path": "/completed", "value": "2026-01-01T00:00:00Z"},
    ]
    assert http.patch(path, json=same).raise_for_status().json()["completionStatus"] == "SUCCESS"
    for wrong, says in (
        ({"op": "replace"}, "must be a JSON Patch"),
        ([], "says nothing of"),
        (["x"], "Operation 1"),
        ([{"op": "remove", "path": "/completed"}], "op replace or add"),
        ([{"op": "replace", "path": "/launcher", "value": "me"}], "the path /completionStatus or /completed"),
        ([{"op": "replace", "path": "/completionStatus"}], "no value"),
        ([{"op": "replace", "path": "/completionStatus", "value": "DONE"}], "one of SUCCESS"),
        ([{"op": "replace", "path": "/completed", "value": "soon"}], "a time"),
        (CANCEL * 21, "20 is the most"),
    ):
        assert says in text_of(http.patch(path, json=wrong)), wrong


def test_a_patch_to_terminated_cancels_a_pending_run(big_home: Path) -> None:
    with serving(big_home) as server, server.http() as http:
        body = {"reportType": "ACCOUNTS", "arguments": {"application": "big"}}
        run_id = http.post("/v2025/reports/run", json=body).json()["id"]
        pending = http.get("/v2025/task-status/pending-tasks", params={"count": "true"})
        assert [task["id"] for task in pending.json()] == [run_id]
        assert pending.headers["X-Total-Count"] == "1"
        assert pending.json()[0]["completionStatus"] is None
        assert [task["id"] for task in listed(http, filters="completionStatus isnull")] == [run_id]
        success = [{"op": "replace", "path": "/completionStatus", "value": "SUCCESS"}]
        path = f"/v2025/task-status/{run_id}"
        assert "for its worker to say" in text_of(http.patch(path, json=success))
        assert http.patch(path, json=CANCEL).status_code == 200
        assert result_when_over(http, run_id)["status"] == "TERMINATED"
        assert http.get(path).json()["completionStatus"] == "TERMINATED"
        assert http.get("/v2025/task-status/pending-tasks").json() == []
