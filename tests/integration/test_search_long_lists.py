"""A search for a list of as many values as are allowed."""

from __future__ import annotations

import pytest

from searching import Corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("limits"), [{"id": "1", "name": "anna", "attributes": {"city": "Rome"}}])


def test_a_list_of_65536_values_runs(corpus: Corpus) -> None:
    for field in ("name", "id", "name.exact"):
        value = "1" if field == "id" else "anna"
        query = f"{field}:({' '.join(f'x{n}' for n in range(65_535))} {value})"
        assert corpus.ids(query) == {"1"}
