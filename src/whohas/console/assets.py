"""The style sheets, scripts and images of the console, served from the package under addresses that contain their hash.

A browser may keep such a file for ever: a changed file has another address.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from whohas.errors import NotFound
from whohas.formats.charts import chart_style

PATH: Final = "/console/static"

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""The media types of the files that are served, by their extension."""

_JOINED: Final[Mapping[str, tuple[str, ...]]] = {
    "pages.css": ("vendor/pico.min.css", "console.css", "charts.css"),
    "pages.js": ("vendor/htmx.min.js", "vendor/hx-sse.min.js", "console.js"),
}
"""What every page loads, in one file of each kind: a browser shows nothing before the last style sheet is there."""

_FOREVER = "public, max-age=31536000, immutable"
_HASH_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the console serves.

    Attributes:
        name: its path below the folder `static`, such as `grid.js`, or that of joined files.
        content: its bytes.
        compressed: its bytes compressed by gzip.
        hash: the begin of its SHA-256.
    """

    name: str
    content: bytes
    compressed: bytes
    hash: str

    @property
    def address(self) -> str:
        """Its path on the server."""
        return f"{PATH}/{self.hash}/{self.name}"

    @property
    def media_type(self) -> str:
        """Its Content-Type."""
        return MEDIA_TYPES[self.name.rpartition(".")[2]]


@cache
def all_assets() -> Mapping[str, Asset]:
    """Return all files that the console serves, by name: those that are joined, and the others of its folder."""
    root = importlib.resources.files("whohas.console") / "static"
    contents = {"charts.css": chart_style().encode()}
    for folder, prefix in ((root, ""), (root / "vendor", "vendor/")):
        for file in folder.iterdir():
            name = f"{prefix}{file.name}"
            if name.rpartition(".")[2] in MEDIA_TYPES:
                contents[name] = file.read_bytes()
    for name, parts in _JOINED.items():
        # a script may end without a semicolon, or in a comment
        contents[name] = (b"\n;\n" if name.endswith(".js") else b"\n").join(contents.pop(part) for part in parts)
    return {name: _asset(name, content) for name, content in contents.items()}


def _asset(name: str, content: bytes) -> Asset:
    digest = hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]
    return Asset(name, content, gzip.compress(content, 9, mtime=0), digest)


def asset_address(name: str) -> str:
    """Return the path on the server of a file, such as `grid.js`.

    Raises:
        KeyError: there is no such file.
    """
    return all_assets()[name].address


def icon() -> Markup:
    """Return the icon of whohas as an element of a page, which needs no request."""
    svg = all_assets()["icon.svg"].content.decode()
    return Markup(svg.replace("<svg ", '<svg class="icon" aria-hidden="true" ', 1))  # noqa: S704 - a file of this package


def asset_response(request: Request, hash: str, name: str) -> Response:
    """Return the response with a file.

    Args:
        request: the request.
        hash: the hash in the address.
        name: the name of the file.

    Raises:
        NotFound: there is no such file, or it has another hash.
    """
    asset = all_assets().get(name)
    if asset is None or asset.hash != hash:
        raise NotFound(f"There is no file {name[:200]!r} of this version. Load the page again.")
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding", "Content-Type": asset.media_type}
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.compressed if zipped else asset.content, headers=headers)
