"""The console's parts that need no server: files of others, values for people, paths."""

from __future__ import annotations

import hashlib
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import whohas.console
from whohas.auth import CONSOLE_ACTIONS, ROUTES
from whohas.console import rendering
from whohas.console.app import all_pages
from whohas.console.assets import all_assets
from whohas.console.session import local_path
from whohas.console.view import Pages

STATIC = Path(whohas.console.__file__).parent / "static"
VENDORED = tomllib.loads((STATIC / "vendor" / "vendored.toml").read_text())


def test_files_of_others_are_as_published() -> None:
    there = {path.name for path in (STATIC / "vendor").iterdir() if path.suffix in (".js", ".css")}
    assert there == {*VENDORED}
    for name, about in VENDORED.items():
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == about["sha256"]
        assert "Permission" in (STATIC / "vendor" / about["license_file"]).read_text()
        assert about["license"] in ("MIT", "0BSD")


def test_style_sheets_and_scripts_load_nothing_from_elsewhere() -> None:
    for name, asset in all_assets().items():
        text = asset.content.decode()
        assert "@import" not in text, name
        if name.endswith(".css"):
            addresses = [part.partition(")")[0].strip("\"'") for part in text.split("url(")[1:]]
            assert all(address.startswith("data:") for address in addresses), name


def test_each_page_names_its_rights() -> None:
    routes = [route for pages in all_pages() for route in pages.routes]
    public = {route.path for route in routes if route.needs is None}
    assert public == {"/console", "/console/sign-in", "/console/signed-in", "/console/signed-out"}
    assert all((ROUTES.get(route.needs) or CONSOLE_ACTIONS[route.needs]).action for route in routes if route.needs)
    with pytest.raises(ValueError, match="not in the table of access"):
        Pages().get("/x", needs="noSuchRoute")


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/console", True),
        ("/console/runs?page=2", True),
        ("/consoles", False),
        ("//evil.example/console", False),
        ("https://evil.example/console", False),
        ("/console\\@evil.example", False),
        ("/console/a\r\nb", False),
        ("", False),
    ],
)
def test_only_paths_of_the_console_are_followed(path: str, kept: bool) -> None:
    assert (local_path(path) == path) is kept
    assert local_path(path).startswith("/console")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3, "just now"),
        (61, "1 minute ago"),
        (7200, "2 hours ago"),
        (86_400 * 800, "2 years ago"),
        (-7200, "in 2 hours"),
    ],
)
def test_ages_have_the_largest_fitting_unit(seconds: float, text: str) -> None:
    assert rendering.age_text(seconds) == text


def test_values_are_shown_for_people() -> None:
    assert [rendering.size(n) for n in (0, 999, 1_234_567, 5 * 10**12)] == ["0 bytes", "999 bytes", "1.2 MB", "5.0 TB"]
    assert [rendering.duration(n) for n in (400, 12_000, 83_000, 7_500_000)] == [
        "0.4 s",
        "12 s",
        "1 min 23 s",
        "2 h 5 min",
    ]
    assert [rendering.share(n) for n in (0.125, 1)] == ["12.5 %", "100 %"]
    time = datetime(2026, 11, 29, 14, 5, tzinfo=UTC).astimezone(tz=None)
    assert rendering.when(time) == '<time datetime="2026-11-29T14:05:00Z">2026-11-29 14:05 UTC</time>'
    assert "1 day ago" in rendering.ago(datetime.now(UTC) - timedelta(days=1, minutes=1))
