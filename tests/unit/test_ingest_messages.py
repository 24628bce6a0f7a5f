"""What a load says where it cannot go on."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from whohas.errors import Unavailable
from whohas.ingest.readers.open_file import open_file
from whohas.ingest.staging import disk_full_as_unavailable
from whohas.warehouse.schema import ACCOUNTS


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, "The disk is full: /data takes no more. .* Free space there, and load again."),
        (errno.EDQUOT, "The disk quota of /data is used up. .* Free space there or raise the quota, and load again."),
        (errno.EFBIG, r"A file in /data may not grow any further. .* Raise the limit \(ulimit -f\), and load again."),
    ],
)
def test_a_write_without_space_names_folder_and_remedy(number: int, text: str) -> None:
    with pytest.raises(Unavailable, match=text), disk_full_as_unavailable(Path("/data")):
        raise OSError(number, "no room")


def test_other_errors_of_a_write_pass_through() -> None:
    with pytest.raises(PermissionError), disk_full_as_unavailable(Path("/data")):
        raise PermissionError(errno.EACCES, "refused")


def test_a_format_without_a_reader_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "accounts.avro"
    path.write_bytes(b"Obj\x01")
    with pytest.raises(ValueError, match="no reader for the format 'avro'"):
        open_file(path, "avro", ACCOUNTS, connection=None)
