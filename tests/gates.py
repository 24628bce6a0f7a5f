"""A store behind a gate, which holds requests back or answers in its place."""

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

    def refuse(self, matches: Callable[[str, str], bool], status: str, code: str) -> None:
        """Answer some requests with an error of S3.

        Args:
            matches: whether a request is refused, from its method and path.
        """
        body = f"<Error><Code>{code}</Code><Message>{code}, says the store.</Message></Error>".encode()
        self.answers = lambda environ: (
            (status, body) if matches(environ["REQUEST_METHOD"], environ["PATH_INFO"]) else None
        )

    def pass_all(self) -> None:
        """Pass all requests on."""
        self.answers = lambda _: None

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
