"""Short answers are written in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from whohas.http.protocol import Together


class Kept(asyncio.Transport):
    """A transport that keeps what is written, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.pieces.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


def written(act: Callable[[Together], None], turns: int = 0) -> list[bytes]:
    async def run() -> list[bytes]:
        kept = Kept()
        act(Together(kept))
        for _ in range(turns):
            await asyncio.sleep(0)
        return list(kept.pieces)

    return asyncio.run(run())


def answer(transport: Together) -> None:
    transport.write(b"head ")
    transport.write(b"body")
    transport.write(b"")  # as uvicorn ends one


def begin(transport: Together) -> None:
    transport.write(b"head ")
    transport.write(b"an event")


def test_an_answer_is_one_piece_and_goes_out_at_its_end() -> None:
    assert written(answer) == [b"head body"]


def test_of_two_answers_neither_waits_for_the_other() -> None:
    def both(transport: Together) -> None:
        answer(transport)
        answer(transport)

    assert written(both, turns=2) == [b"head body", b"head body"]


def test_what_goes_on_later_is_written_in_the_next_turn() -> None:
    assert written(begin) == []
    assert written(begin, turns=1) == [b"head an event"]


def test_much_is_not_held() -> None:
    def much(transport: Together) -> None:
        transport.write(b"head ")
        transport.write(b"x" * 65_536)
        transport.write(b"y" * 65_536)

    assert written(much) == [b"head " + b"x" * 65_536, b"y" * 65_536]


def test_a_connection_is_closed_after_what_was_written() -> None:
    def closed(transport: Together) -> None:
        begin(transport)
        transport.close()

    assert written(closed, turns=1) == [b"head an event"]


def test_nothing_is_written_to_a_connection_that_is_gone() -> None:
    def gone(transport: Together) -> None:
        begin(transport)
        transport.abort()

    assert written(gone, turns=1) == []
