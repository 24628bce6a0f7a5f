"""Lines of the audit log with drawn content, and drawn changes of a log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditing import a_chain
from chance import chance
from whohas.audit.chain import ChainHead, ChainLine
from whohas.audit.events import canonical_json
from whohas.audit.verify import verify


@pytest.fixture
def chain() -> list[ChainLine]:
    return a_chain(9)


@pytest.fixture
def texts(chain: list[ChainLine]) -> list[str]:
    return [line.text for line in chain]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(st.characters(codec="ascii")), x),
    )
)
def test_what_is_read_back_is_written_alike(value: object) -> None:
    text = canonical_json({"value": value})
    assert canonical_json(json.loads(text)) == text


@pytest.mark.property
def test_any_small_change_of_a_trail_is_found(tmp_path: Path, chain: list[ChainLine], texts: list[str]) -> None:
    draw = chance(5)
    content = "".join(f"{text}\n" for text in texts).encode()
    head = ChainHead(chain[-1].sequence, chain[-1].hash)
    path = tmp_path / "trail.ndjson"
    for _ in range(300):
        at = draw.randrange(len(content))
        cut = content[:at] + bytes([content[at] ^ (1 << draw.randrange(8))]) + content[at + 1 :]
        path.write_bytes(draw.choice([cut, content[:at] + content[at + 1 :], content[:at]]))
        assert verify([path], head).faults
