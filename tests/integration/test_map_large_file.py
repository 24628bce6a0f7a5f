"""A proposal for the mapping of a large file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from whohas.ingest.proposals import Proposal, propose


def text_of(tmp_path: Path, *files: tuple[str, str | bytes], name: str | None = None) -> Proposal:
    paths = [tmp_path / file for file, _ in files]
    for path, (_, content) in zip(paths, files, strict=True):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return propose(paths, name, tmp_path / "map.toml")


def test_a_large_file_is_sampled_to_its_end(tmp_path: Path) -> None:
    row = "u{0},user {0} with a rather long name to fill the file,{1}\n"
    text = "login,name,created\n" + "".join(
        row.format(n, "01.02.2024" if n < 80_000 else "2024-02-01") for n in range(120_000)
    )
    found = text_of(tmp_path, ("big.csv", text))
    assert set(tomllib.loads(found.text)["accounts"]["columns"]["created"]["times"]) == {"%d.%m.%Y"}
    assert "RFC 3339" in found.text
    assert "of a sample" in found.text
