from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from llmctl_infra.errors import ResourceError
from llmctl_infra.local import files
from llmctl_infra.local.files import content_drift, private_folder, replacing, write_if_changed, write_private


def test_what_is_written_is_private_and_so_is_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_private(path, "text")
    assert path.read_text() == "text"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_failed_write_leaves_the_old_content_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir() if each.is_file()] == [("file", "old")]


def test_a_full_disk_is_said_with_the_path_and_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError) as caught:
        write_private(tmp_path / "file", "text")
    assert caught.value.what == f"cannot write {tmp_path / 'file'}"
    assert caught.value.why.startswith("the disk is full, ")
    assert caught.value.why.endswith("MiB are free")
    assert "free space" in caught.value.fix
    assert [each for each in tmp_path.iterdir() if each.is_file()] == []


def test_the_content_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("sync"), fsync(descriptor))[1])
    monkeypatch.setattr(Path, "replace", lambda path, to: (steps.append("rename"), replace(path, to))[1])
    write_private(tmp_path / "file", "text")
    assert steps == ["sync", "rename", "sync"]


def test_drift_tells_missing_edited_and_open_files_apart(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert content_drift(path, "text") == (f"{path} is missing",)
    write_private(path, "text")
    assert content_drift(path, "text") == ()
    path.chmod(0o640)
    assert content_drift(path, "other") == (f"{path} was edited", f"{path} has mode 0640, not 0600")
    assert content_drift(tmp_path, "text") == (f"{tmp_path} cannot be read: Is a directory",)


def test_a_file_is_left_alone_when_it_is_right(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_if_changed(path, "text")
    before = path.stat().st_ino
    assert not write_if_changed(path, "text")
    assert path.stat().st_ino == before
    path.chmod(0o644)
    assert write_if_changed(path, "text")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match=f"cannot make the folder {tmp_path}/file/new: Not a directory"):
        private_folder(tmp_path / "file" / "new")


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    files.remove(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    files.remove_if_empty(tmp_path / "folder")
    assert (tmp_path / "folder" / "file").exists()
    files.remove(tmp_path / "folder")
    files.remove_if_empty(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
