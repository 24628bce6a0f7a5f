"""A store behind a gate, which holds requests back or answers in its place, and the settings of a server that uses it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from stores import S3Server, Wsgi, moto


@dataclass
class Gate:
    """Stands before a store: it holds requests back, or answers in place of the store.

    Attributes:
        holds: whether a request waits until `open` is set.
        answers: the response to a request, as status and body; None to pass the request on.
        held: set once a request has waited.
    """

    holds: Callable[[dict[str, Any]], bool] = lambda _: False
    answers: Callable[[dict[str, Any]], tuple[str, bytes] | None] = lambda _: None
    open: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)

    def before(self, app: Wsgi) -> Wsgi:
        def call(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            if self.holds(environ):
                self.held.set()
                self.open.wait()
            if answer := self.answers(environ):
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start(answer[0], [("Content-Type", "application/xml")])
                return [answer[1]]
            return app(environ, start)

        return call


@contextmanager
def gated(gate: Gate) -> Iterator[S3Server]:
    """A store behind a gate, which is open in the end."""
    with moto(gate.before) as server:
        try:
            yield server
        finally:
            gate.open.set()


def settings_of(server: S3Server, bucket: str) -> dict[str, str]:
    return {**server.environment, "WHOHAS_FILES_URL": f"s3://{bucket}/files"}
