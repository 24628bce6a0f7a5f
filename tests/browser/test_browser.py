"""The console in a real browser, headless: each journey's acts, accessibility by axe, and pictures of every page.

The pictures are in `.cache/pictures`, for people to look at: each page in two widths and two colour schemes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from console import add_user
from patience import PATIENCE_SECONDS
from support import ROOT, Server, serving

HERE = Path(__file__).parent
MODULES = ROOT / ".cache" / "browser"
"""Where `make browser` installs Playwright and axe."""
PICTURES = ROOT / ".cache" / "pictures"
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
JOURNEYS = sorted(path.stem for path in HERE.glob("*.mjs") if path.stem != "browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium"),
    pytest.mark.skipif(not (MODULES / "node_modules").is_dir(), reason="`make browser` installs what this needs"),
]


@pytest.fixture(scope="module")
def server(acme_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("browser") / "home"
    shutil.copytree(acme_home, home)
    with serving(home) as running:
        add_user(running, "ann", "ORG_ADMIN")
        yield running


@pytest.mark.parametrize("journey", JOURNEYS)
def test_journey_works_and_is_accessible(server: Server, journey: str) -> None:
    told = {
        "MODULES": str(MODULES),
        "PICTURES": str(PICTURES),
        "CHROMIUM": CHROMIUM,
        "URL": server.url,
        "PATIENCE": str(PATIENCE_SECONDS),
    }
    done = subprocess.run(["node", HERE / f"{journey}.mjs"], env={**os.environ, **told}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
