"""HTTP requests as patient as tests are, and cheap.

httpx2 gives up after five seconds unless it is given another time. And each of its clients, so each request without one,
reads all certificates of the machine anew, which takes ten times as long as the request.
"""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import Any

import httpx2

from patience import PATIENCE_SECONDS


@cache
def _certificates(file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=file)


def _patiently(options: dict[str, Any]) -> dict[str, Any]:
    return {"timeout": PATIENCE_SECONDS, "verify": _certificates(os.environ.get("SSL_CERT_FILE")), **options}


def Client(**options: Any) -> httpx2.Client:  # noqa: N802 - as httpx2 calls it
    return httpx2.Client(**_patiently(options))


def head(url: str, **options: Any) -> httpx2.Response:
    return httpx2.head(url, **_patiently(options))


def get(url: str, **options: Any) -> httpx2.Response:
    return httpx2.get(url, **_patiently(options))


def options(url: str, **options: Any) -> httpx2.Response:
    return httpx2.options(url, **_patiently(options))


def post(url: str, **options: Any) -> httpx2.Response:
    return httpx2.post(url, **_patiently(options))


def request(method: str, url: str, **options: Any) -> httpx2.Response:
    return httpx2.request(method, url, **_patiently(options))
