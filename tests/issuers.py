"""An OpenID Connect issuer for tests: a real HTTP server with discovery and keys, and a signer of tokens."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

AUDIENCE = "whohas"

Answer = Callable[[BaseHTTPRequestHandler], object]


@dataclass
class OutsideIssuer:
    """What it publishes may be changed while it runs; `asked` are the paths that were fetched."""

    url: str = ""
    keys: list[RSAKey | ECKey] = field(default_factory=lambda: [new_key()])
    discovery: dict[str, Any] | None = None
    up: bool = True
    asked: list[str] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    """What answers a path instead of what is published there."""
    token_endpoint: Callable[[dict[str, str], str], tuple[int, dict[str, Any]]] | None = None
    """What answers a POST of a form: from its fields and the header Authorization, a status and a JSON object."""

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

    def raw(self, header: object, payload: object, key: RSAKey | ECKey | None = None, *, hash: Any = None) -> str:
        """A token of any bytes or JSON, which a key of the issuer has really signed, by RS256 or as a curve does."""
        signer = key or self.keys[0]
        signed = ".".join(encoded(part) for part in (header, payload)).encode()
        private: Any = signer.get_op_key("sign")
        digest = hash or hashes.SHA256()
        if isinstance(signer, RSAKey):
            return f"{signed.decode()}.{encoded(private.sign(signed, padding.PKCS1v15(), digest))}"
        numbers = decode_dss_signature(private.sign(signed, ec.ECDSA(digest)))
        size = (signer.curve_key_size + 7) // 8
        return f"{signed.decode()}.{encoded(b''.join(number.to_bytes(size, 'big') for number in numbers))}"


def encoded(part: object) -> str:
    """A part of a token: bytes as they are, all else as JSON."""
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def new_key() -> RSAKey:
    return RSAKey.generate_key(2048, auto_kid=True)


@contextmanager
def outside_issuer() -> Iterator[OutsideIssuer]:
    """An issuer on a free loopback port."""
    issuer = OutsideIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            if self.path in issuer.answers:
                with suppress(OSError):  # who asked may have gone
                    issuer.answers[self.path](self)
                return
            body = json.dumps(issuer.published(self.path)).encode()
            self.send_response(200 if issuer.up else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            assert issuer.token_endpoint is not None
            status, answer = issuer.token_endpoint(dict(parse_qsl(body)), self.headers.get("Authorization", ""))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

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
