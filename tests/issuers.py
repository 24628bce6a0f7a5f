"""An OpenID Connect issuer for tests: a real HTTP server with discovery and keys, and a signer of tokens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

AUDIENCE = "whohas"


@dataclass
class OutsideIssuer:
    """What it publishes may be changed while it runs; `asked` are the paths that were fetched."""

    url: str = ""
    keys: list[RSAKey | ECKey] = field(default_factory=lambda: [new_key()])
    discovery: dict[str, Any] | None = None
    up: bool = True
    asked: list[str] = field(default_factory=list)

    def published(self, path: str) -> object:
        if path == "/.well-known/openid-configuration":
            return self.discovery or {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return KeySet(list(self.keys)).as_dict(private=False)

    def sign(self, key: RSAKey | ECKey | None = None, algorithm: str = "RS256", **claims: Any) -> str:
        """A token that is right but for what is given; a claim that is None is left out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "u-1", "iat": now, "exp": now + 86_400}
        told = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        signer = key or self.keys[0]
        return jwt.encode({"alg": algorithm, "kid": signer.kid}, told, signer, algorithms=[algorithm])


def new_key() -> RSAKey:
    return RSAKey.generate_key(2048, auto_kid=True)


@contextmanager
def outside_issuer() -> Iterator[OutsideIssuer]:
    """An issuer on a free loopback port."""
    issuer = OutsideIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            body = json.dumps(issuer.published(self.path)).encode()
            self.send_response(200 if issuer.up else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
