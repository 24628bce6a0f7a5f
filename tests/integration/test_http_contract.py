"""Our description of the API against the published one, field by field, so that it cannot drift."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import asking
from support import SHARED, Server
from whohas.contract import CompletionStatus, ReportType, ResultStatus, TaskType
from whohas.contract.tasks import TaskCompletion

Schema = dict[str, Any]
PUBLISHED = ("reports-v2025.json", "task-status-v2025.json")
ENUMS: dict[str, tuple[set[str], ...]] = {
    "reportType": ({*ReportType},),
    "completionStatus": ({*CompletionStatus}, {*TaskCompletion}),
    "status": ({*ResultStatus},),
    "type": ({*TaskType}, {*TaskType} - {TaskType.MENTOS}),
}
"""What we know; the two descriptions differ in what they know."""


def published() -> Iterator[Any]:
    """Every published operation: the method and path under `/v2025`, and what is said of it."""
    for name in PUBLISHED:
        file = SHARED / "contract" / name
        paths = json.loads(file.read_text())["paths"] if file.is_file() else {}
        for path, methods in paths.items():
            for method, operation in methods.items():
                if isinstance(operation, dict) and "operationId" in operation:
                    yield pytest.param(method, path, operation, id=operation["operationId"])


@pytest.fixture(scope="module")
def ours(server: Server, shared: Path) -> Schema:
    assert shared
    return asking.get(f"{server.url}/openapi.json").raise_for_status().json()


def operation_of(ours: Schema, method: str, path: str) -> Schema:
    form = _shape(f"/v2025{path}")
    found = next((methods.get(method) for known, methods in ours["paths"].items() if _shape(known) == form), None)
    assert found is not None, f"{method} {path} is not described"
    return found


pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not there: the published contract lies in it")


@pytest.mark.parametrize(("method", "path", "operation"), list(published()))
def test_parameters_are_those_of_the_contract(ours: Schema, method: str, path: str, operation: Schema) -> None:
    mine = operation_of(ours, method, path)
    wanted = {_named(one): one for one in operation.get("parameters", [])}
    have = {_named(one): one for one in mine.get("parameters", [])}
    assert have.keys() >= wanted.keys()
    for name, one in wanted.items():
        assert have[name].get("required", False) == one.get("required", False), name
        if "enum" not in one["schema"]:
            assert _types(ours, have[name]["schema"]) >= {one["schema"]["type"]}, name
        if "default" in one["schema"]:
            assert have[name]["schema"].get("default") == one["schema"]["default"], name


@pytest.mark.parametrize(("method", "path", "operation"), list(published()))
def test_who_may_is_as_the_contract_says(ours: Schema, method: str, path: str, operation: Schema) -> None:
    mine = operation_of(ours, method, path)
    have = {scheme: set(scopes) for way in mine["security"] for scheme, scopes in way.items()}
    wanted = {scheme: set(scopes) for way in operation["security"] for scheme, scopes in way.items()}
    assert have.keys() == wanted.keys()
    for scheme, scopes in wanted.items():
        older = {"sp:report:create", "sp:report-result:read", "sp:report:delete"}
        assert have[scheme] - older == scopes
    everybody = {"HELPDESK", *ours["paths"]["/v2025/reports/run"]["post"]["x-sailpoint-userLevels"]}
    levels = set(operation.get("x-sailpoint-userLevels") or everybody)
    assert set(mine.get("x-sailpoint-userLevels") or everybody) == levels


@pytest.mark.parametrize(("method", "path", "operation"), list(published()))
def test_every_answer_of_the_contract_is_described_with_its_fields(
    ours: Schema, method: str, path: str, operation: Schema
) -> None:
    mine = operation_of(ours, method, path)
    for status, answer in operation["responses"].items():
        assert status in mine["responses"], status
        have = mine["responses"][status].get("content", {})
        for media_type, content in answer.get("content", {}).items():
            assert media_type in have, (status, media_type)
            _compare(ours, have[media_type].get("schema", {}), content["schema"], f"{status}")


@pytest.mark.parametrize(("method", "path", "operation"), list(published()))
def test_the_body_of_the_contract_is_described_with_its_fields(
    ours: Schema, method: str, path: str, operation: Schema
) -> None:
    mine = operation_of(ours, method, path)
    wanted = operation.get("requestBody", {}).get("content", {})
    for media_type, content in wanted.items():
        have = mine["requestBody"]["content"][media_type]["schema"]
        assert _properties(ours, have).keys() >= content["schema"]["properties"].keys()


def _compare(ours: Schema, have: Schema, wanted: Schema, where: str) -> None:
    """Every field of the contract is there with its type; ours may have more fields, and may say null."""
    for name, field in wanted.get("properties", {}).items():
        mine = _properties(ours, have)
        assert name in mine, f"{where}.{name} is missing"
        if field.get("type"):
            types = _types(ours, mine[name])
            assert not types or field["type"] in types, f"{where}.{name} is {types}, not {field['type']}"
        if "enum" in field and name in ENUMS and where == "200":
            assert {value for value in field["enum"] if value is not None} in ENUMS[name], f"{where}.{name}"
        for inner in ("properties", "items"):
            if inner in field:
                _compare(ours, mine[name], field, f"{where}.{name}")
                break
    if "items" in wanted:
        items = next((part["items"] for part in _parts(ours, have) if "items" in part), {})
        _compare(ours, items, wanted["items"], f"{where}[]")


def _parts(ours: Schema, schema: Schema) -> list[Schema]:
    """A schema without references, each of its alternatives by itself."""
    if "$ref" in schema:
        return _parts(ours, ours["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return [part for one in schema["anyOf"] for part in _parts(ours, one)]
    return [schema]


def _properties(ours: Schema, schema: Schema) -> Schema:
    return {name: field for part in _parts(ours, schema) for name, field in part.get("properties", {}).items()}


def _types(ours: Schema, schema: Schema) -> set[str]:
    return {part["type"] for part in _parts(ours, schema) if "type" in part}


def _named(parameter: Schema) -> tuple[str, str]:
    # a parameter in a path is known by its place: taskResultId and id are one
    return (parameter["in"], "" if parameter["in"] == "path" else parameter["name"])


def _shape(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
