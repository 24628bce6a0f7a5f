"""The chain of audit events, and what is found of a trail that somebody worked on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditing import SOURCE, a_chain
from whohas.audit.chain import FIRST_PREVIOUS_HASH, ChainHead, ChainLine, event_hash
from whohas.audit.events import canonical_json
from whohas.audit.verify import VerificationResult, verify


def forged(line: str, **changes: Any) -> str:
    """A line with other content and a hash that fits it."""
    event = {**json.loads(line), **changes}
    return canonical_json({**event, "hash": event_hash(event)})


def found(folder: Path, texts: list[str], head: ChainLine | None) -> VerificationResult:
    path = folder / "trail.ndjson"
    path.write_bytes("".join(f"{text}\n" for text in texts).encode())
    return verify([path], ChainHead(head.sequence, head.hash) if head else None)


@pytest.fixture
def chain() -> list[ChainLine]:
    return a_chain(9)


@pytest.fixture
def texts(chain: list[ChainLine]) -> list[str]:
    return [line.text for line in chain]


def test_an_event_is_a_cloudevent_that_names_its_predecessor(chain: list[ChainLine]) -> None:
    first, second = json.loads(chain[0].text), json.loads(chain[1].text)
    required = {"id", "source", "type", "specversion", "time", "subject", "datacontenttype"}
    assert required <= set(first)
    assert (first["specversion"], first["source"]) == ("1.0", SOURCE)
    assert first["previoushash"] == FIRST_PREVIOUS_HASH
    assert second["previoushash"] == first["hash"]
    assert (first["sequence"], second["sequence"]) == ("000000000001", "000000000002")
    # CloudEvents 1.0, naming of attributes
    assert all(name.isalnum() and name == name.lower() and len(name) <= 20 for name in first)


def test_the_hash_can_be_computed_without_us(chain: list[ChainLine]) -> None:
    event = json.loads(chain[3].text)
    told = event.pop("hash")
    plain = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(plain.encode()).hexdigest() == told


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        ('€ " \\ \n \x0f \x7f', '"€ \\" \\\\ \\n \\u000f \x7f"'),  # RFC 8785, 3.2.2.2
        ("half \ud800", '"half ?"'),
        (1 << 53, '"9007199254740992"'),
        (-((1 << 53) - 1), "-9007199254740991"),
        (0.1, '"0.1"'),
    ],
)
def test_a_value_has_one_way_to_be_written(value: object, text: str) -> None:
    assert canonical_json(value) == text


def test_a_trail_that_nobody_touched_is_in_order(tmp_path: Path, chain: list[ChainLine], texts: list[str]) -> None:
    assert found(tmp_path, texts, chain[-1]) == VerificationResult(9, 1, ChainHead(9, chain[-1].hash), ())
    assert found(tmp_path, texts, None).faults == ()
    assert found(tmp_path, [], None).faults == ()


Work = Callable[[list[str]], list[str]]

WORKED_ON: dict[str, tuple[Work, list[str]]] = {
    "a changed line": (
        lambda t: [*t[:3], t[3].replace('"bytes":3', '"bytes":4'), *t[4:]],
        ["trail.ndjson, line 4: the event 4 was changed."],
    ),
    "a changed line with a hash that fits": (
        lambda t: [*t[:3], forged(t[3], subject="r9"), *t[4:]],
        ["trail.ndjson, line 4: another event was put in the place of the event 4."],
    ),
    "the last line changed, with a hash that fits": (
        lambda t: [*t[:8], forged(t[8], subject="r9")],
        ["trail.ndjson, line 9: another event was put in the place of the event 9."],
    ),
    "a line written in another way": (
        lambda t: [*t[:3], t[3].replace(",", ", ", 1), *t[4:]],
        ["trail.ndjson, line 4: the event 4 was changed."],
    ),
    "a missing line": (lambda t: [*t[:3], *t[4:]], ["The event 4 is missing."]),
    "the first lines missing": (lambda t: t[2:], ["The events 1 to 2 are missing."]),
    "the tail cut off": (lambda t: t[:6], ["The events 7 to 9 are missing."]),
    "all of it gone": (lambda t: [], ["The events 1 to 9 are missing."]),
    "an added line": (
        lambda t: [*t[:4], forged(t[3], subject="r9", sequence="000000000005", previoushash=json.loads(t[3])["hash"]), *t[4:]],
        ["trail.ndjson, line 5: this line was added, as if it were the event 5."],
    ),
    "a line added at the end": (
        lambda t: [*t, forged(t[8], sequence="000000000010", previoushash=json.loads(t[8])["hash"])],
        ["trail.ndjson, line 10: this line was added, as if it were the event 10."],
    ),
    "a line that is no event": (
        lambda t: [*t[:4], "not JSON", *t[4:]],
        ["trail.ndjson, line 5: this line was added, and is no event."],
    ),
    "a line twice": (
        lambda t: [*t[:5], t[4], *t[5:]],
        ["trail.ndjson, line 6: this line was added, as if it were the event 5."],
    ),
    "a huge number": (
        lambda t: [*t[:5], forged(t[4], sequence="9" * 18), *t[5:]],
        [f"trail.ndjson, line 6: this line was added, as if it were the event {'9' * 18}."],
    ),
    "two lines swapped": (
        lambda t: [*t[:3], t[4], t[3], *t[5:]],
        ["trail.ndjson, line 4: the event 5 stands in the wrong place."],
    ),
    "a line moved far": (
        lambda t: [t[0], *t[2:8], t[1], t[8]],
        ["trail.ndjson, line 8: the event 2 stands in the wrong place."],
    ),
    "one changed, one missing": (
        lambda t: [*t[:2], t[2].replace("r2", "r7"), *t[3:5], *t[6:]],
        ["The event 6 is missing.", "trail.ndjson, line 3: the event 3 was changed."],
    ),
    "a line missing and the next one rewritten to hide it": (
        lambda t: [*t[:3], forged(t[4], sequence="000000000004", previoushash=json.loads(t[2])["hash"]), *t[5:]],
        ["The event 5 is missing."],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("work", "faults"), WORKED_ON.values(), ids=WORKED_ON)
def test_what_was_done_to_a_trail_is_found(
    tmp_path: Path, chain: list[ChainLine], texts: list[str], work: Work, faults: list[str]
) -> None:
    assert list(found(tmp_path, work(texts), chain[-1]).faults) == faults


def test_the_chain_head_reveals_changes_after_a_rewritten_line(
    tmp_path: Path, chain: list[ChainLine], texts: list[str]
) -> None:
    other = a_chain(6, ChainHead(chain[2].sequence, chain[2].hash))
    anew = [*texts[:3], *(line.text for line in other)]
    assert found(tmp_path, anew, None).faults == ()
    assert (
        found(tmp_path, anew, chain[-1]).faults[0]
        == "trail.ndjson, line 9: another event was put in the place of the event 9."
    )


def test_several_files_are_one_trail(tmp_path: Path, chain: list[ChainLine], texts: list[str]) -> None:
    old, new = tmp_path / "old.ndjson", tmp_path / "new.ndjson"
    old.write_text("".join(f"{text}\n" for text in texts[:5]))
    new.write_text("".join(f"{text}\n" for text in texts[5:]))
    head = ChainHead(chain[-1].sequence, chain[-1].hash)
    assert verify([old, new], head).faults == ()
    assert verify([new], head).faults == ("The events 1 to 5 are missing.",)
    assert verify([new, old], head).faults
