"""Who on the machine may read the home folder: its owner, and a group the tables alone where that was asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from factories import publish
from whohas.errors import Unavailable
from whohas.file_modes import PermissionChanges, check_owners, group_readable_files, restrict_all_files, restrict_home
from whohas.settings import Settings
from whohas.warehouse.schema import TABLES
from whohas.warehouse.store import Warehouse

GROUPS = [12345] if os.geteuid() == 0 else [one for one in os.getgroups() if one != os.getgid()]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def modes(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): mode(path) for path in sorted(root.rglob("*"))}


def everything(home: Path, *, group: bool = False) -> PermissionChanges:
    return restrict_all_files(home, restrict_home(home, group=group), group=group)


@pytest.fixture(autouse=True)
def _wide_umask() -> object:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder as an earlier version left it where the folder was there before: open to everybody."""
    home = tmp_path / "home"
    home.mkdir()
    publish(Warehouse(home / "warehouse"), [{"id": "hr", "name": "HR"}])
    for name in (
        "whohas.db", "whohas.toml", "audit.ndjson", "keys/secrets.key", "artefacts/1/1-accounts.csv", "rejects/a.csv",
        "warehouse/search/000000001/index.json", "warehouse/load.lock", "spill/w/1.tmp", "notes/mine.txt",
    ):  # fmt: skip
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    (home / "whohas.db").chmod(0o666)
    (home / "artefacts").chmod(0o777)
    return home


def test_an_open_home_is_closed_to_its_depth(home: Path) -> None:
    done = everything(home, group=False)
    assert done.restricted > 20 and not done.faults
    assert mode(home) == 0o700
    open_ones = {name for name, found in modes(home).items() if found & 0o077}
    assert open_ones == {"notes/mine.txt"}, "in a folder that is closed itself"
    assert everything(home).restricted == 0, "a second time there is nothing to do"


def test_permissions_of_the_owner_stay(home: Path) -> None:
    (home / "whohas.toml").chmod(0o444)
    (home / "keys" / "secrets.key").chmod(0o400)
    everything(home, group=False)
    assert (mode(home / "whohas.toml"), mode(home / "keys" / "secrets.key")) == (0o400, 0o400)


def test_a_deep_file_is_closed_where_all_is_looked_at(home: Path) -> None:
    everything(home, group=False)
    deep = home / "artefacts" / "1" / "1-accounts.csv"
    deep.chmod(0o644)
    restrict_home(home, group=False)
    assert mode(deep) == 0o644, "nobody gets to it"
    assert everything(home).restricted == 1
    assert mode(deep) == 0o600


def test_links_are_not_followed_out_of_the_home(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (home / "link").symlink_to(outside)
    (home / "artefacts" / "link").symlink_to(outside)
    (home / "artefacts" / "file").symlink_to(outside / "file")
    (home / "artefacts" / "nothing").symlink_to(outside / "nothing")
    assert not everything(home).faults
    assert (mode(outside), mode(outside / "file")) == (0o755, 0o644)


def test_a_warehouse_on_another_disk_is_closed(home: Path, tmp_path: Path) -> None:
    (home / "warehouse").rename(tmp_path / "disk")
    (home / "warehouse").symlink_to(tmp_path / "disk")
    everything(home, group=False)
    assert not any(found & 0o077 for found in modes(tmp_path / "disk").values())
    assert mode(tmp_path / "disk") == 0o700


def test_a_folder_that_all_share_is_left_with_a_sentence(home: Path) -> None:
    home.chmod(0o1777)
    done = everything(home, group=False)
    assert mode(home) == 0o1777
    assert "Set WHOHAS_HOME to a folder of its own." in done.faults[0]


NOBODY = 65_534
placed = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@placed
@pytest.mark.parametrize("name", ["whohas.db", "keys", "audit.ndjson", "keys/secrets.key", "warehouse"])
@pytest.mark.parametrize("kind", ["link", "own"])
def test_a_start_refuses_files_of_other_users(home: Path, tmp_path: Path, name: str, kind: str) -> None:
    path = home / name
    if kind == "link":
        path.rename(tmp_path / "theirs")
        path.symlink_to(tmp_path / "theirs")
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(Unavailable, match=f"{path} belongs to the user nobody, who could read or change"):
        Settings(home=home).make_home()
    assert mode(home) == 0o700


@placed
def test_a_start_accepts_files_of_the_owner_and_of_root(home: Path, tmp_path: Path) -> None:
    (home / "keys").rename(tmp_path / "keys")
    (home / "keys").symlink_to(tmp_path / "keys")  # of root, whose choice it is
    check_owners(home)
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    check_owners(home)


@placed
def test_a_shared_folder_is_checked_for_whohas_files_only(home: Path) -> None:
    home.chmod(0o1777)
    os.chown(home / "notes", NOBODY, NOBODY)
    check_owners(home)
    os.chown(home / "artefacts", NOBODY, NOBODY)
    with pytest.raises(Unavailable, match=r"The folder .*artefacts belongs to"):
        check_owners(home)


def test_what_cannot_be_closed_is_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    done = everything(home, group=False)
    assert f"{home} cannot be given the permissions 0700: Operation not permitted. Let its owner" in done.faults[0]
    monkeypatch.setattr(Path, "chmod", lambda _self, _mode: None)
    assert "its file system has no others" in everything(home, group=False).faults[0]


def test_a_group_may_read_the_tables_alone(home: Path) -> None:
    done = everything(home, group=True)
    assert not done.faults
    assert (mode(home), mode(home / "warehouse")) == (0o710, 0o2750)
    for name, found in modes(home).items():
        parts = Path(name).parts
        table = parts[0] == "warehouse" and len(parts) > 1 and parts[1] in TABLES
        if table:
            assert found == (0o2750 if (home / name).is_dir() else 0o640), name
        elif name not in ("warehouse", "notes/mine.txt"):
            assert not found & 0o077, name
    assert everything(home, group=True).opened == 0
    everything(home, group=False)
    assert not {name for name, found in modes(home).items() if found & 0o077} - {"notes/mine.txt"}


def test_files_that_a_load_adds_are_open_to_the_group(home: Path) -> None:
    everything(home, group=True)
    os.umask(0o077)
    shared = Warehouse(home / "warehouse", shared=True)
    publish(shared, [{"id": "ad", "name": "AD"}], identities=[{"id": "1", "name": "ann", "sourceId": "ad"}])
    assert os.umask(0o077) == 0o077, "the umask is as it was"
    for table in ("sources", "identities"):
        for path in [home / "warehouse" / table, *(home / "warehouse" / table).rglob("*")]:
            assert mode(path) == (0o2750 if path.is_dir() else 0o640), path
    assert not any(mode(path) & 0o077 for path in (home / "warehouse" / "manifests").iterdir())
    assert everything(home, group=True).opened == 0
    for file in shared.snapshot().files(TABLES["identities"]):
        assert pq.read_metadata(file.path).num_rows == 1


def test_a_private_load_opens_nothing(tmp_path: Path) -> None:
    os.umask(0o077)
    publish(Warehouse(tmp_path / "warehouse"), [{"id": "ad", "name": "AD"}])
    assert not any(found & 0o077 for found in modes(tmp_path).values())


@pytest.mark.skipif(not GROUPS, reason="this user is of one group")
def test_tables_follow_the_group_of_the_warehouse(home: Path) -> None:
    os.chown(home / "warehouse", -1, GROUPS[0])
    assert not everything(home, group=True).faults
    assert {path.stat().st_gid for path in (home / "warehouse" / "sources").rglob("*")} == {GROUPS[0]}
    assert (home / "whohas.db").stat().st_gid != GROUPS[0]


def test_a_commit_that_fails_leaves_the_umask_as_it_was() -> None:
    os.umask(0o077)
    with pytest.raises(RuntimeError), group_readable_files(shared=True):
        raise RuntimeError
    assert os.umask(0o077) == 0o077


def test_making_the_home_restricts_the_process(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new" / "home", database_url=f"sqlite:///{tmp_path / 'elsewhere.db'}")
    (tmp_path / "elsewhere.db").touch()
    settings.make_home(serving=True)
    assert (mode(settings.home), mode(tmp_path / "elsewhere.db")) == (0o700, 0o600)
    assert os.umask(0o077) == 0o077


def test_a_command_closes_all_where_the_home_was_open(home: Path) -> None:
    Settings(home=home).make_home()
    assert mode(home / "artefacts" / "1" / "1-accounts.csv") == 0o600
