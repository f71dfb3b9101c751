"""A bundle's digest names its bytes, and nothing about the machine it lies on."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from llmctl_image import bundle
from llmctl_image.bundle import BundleError, builtin, bundle_digest, read_card, write_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "model.onnx").write_bytes(b"\x08\x01" * 700)
    (made / "tokenizer.json").write_text("{}")
    (made / "model_card.json").write_text(json.dumps({"name": "tiny"}))
    return made


def tar_of(folder: Path) -> bytes:
    out = io.BytesIO()
    write_bundle(folder, out)
    return out.getvalue()


def test_the_digest_is_that_of_the_tar(folder: Path) -> None:
    assert bundle_digest(folder) == f"sha256:{hashlib.sha256(tar_of(folder)).hexdigest()}"


def test_the_tar_holds_every_file_sorted_and_without_traces_of_the_machine(folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(tar_of(folder))) as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == ["model.onnx", "model_card.json", "tokenizer.json"]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
        assert all(not member.pax_headers for member in members)
        for member in members:
            stored = tar.extractfile(member)
            assert stored is not None
            assert stored.read() == (folder / member.name).read_bytes()


def test_times_modes_and_hidden_files_do_not_change_the_digest(folder: Path) -> None:
    before = bundle_digest(folder)
    os.utime(folder / "model.onnx", (1, 1))
    (folder / "tokenizer.json").chmod(0o600)
    (folder / ".DS_Store").write_text("desktop")
    assert bundle_digest(folder) == before


@pytest.mark.parametrize("change", ["content", "name", "one more file"])
def test_what_is_in_the_bundle_changes_the_digest(folder: Path, change: str) -> None:
    before = bundle_digest(folder)
    if change == "content":
        (folder / "tokenizer.json").write_text("[]")
    elif change == "name":
        (folder / "tokenizer.json").rename(folder / "tokeniser.json")
    else:
        (folder / "README.md").write_text("# tiny")
    assert bundle_digest(folder) != before


def test_files_in_subfolders_are_part_of_the_bundle(folder: Path) -> None:
    (folder / "weights").mkdir()
    (folder / "weights" / "part-1").write_bytes(b"1")
    with tarfile.open(fileobj=io.BytesIO(tar_of(folder))) as tar:
        assert tar.getnames()[-1] == "weights/part-1"


def test_a_link_in_a_bundle_is_refused(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to(folder / "tokenizer.json")
    with pytest.raises(BundleError, match=r"model\.onnx is not a plain file"):
        bundle_digest(folder)


def test_a_missing_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        bundle_digest(tmp_path / "absent")
    with pytest.raises(BundleError, match="no files"):
        bundle_digest(tmp_path)


def test_the_card_is_read(folder: Path) -> None:
    assert read_card(folder) == {"name": "tiny"}


@pytest.mark.parametrize("text", ["{", "[]", '{"name": 3}', "\xff"])
def test_a_broken_card_says_what_a_card_is(folder: Path, text: str) -> None:
    (folder / "model_card.json").write_text(text, encoding="latin-1")
    with pytest.raises(BundleError, match=r"cannot read .*model_card\.json") as caught:
        read_card(folder)
    assert "python -m llmctl_model" in caught.value.fix


def test_a_missing_card_is_named(folder: Path) -> None:
    (folder / "model_card.json").unlink()
    with pytest.raises(BundleError, match=r"it has no model_card\.json"):
        read_card(folder)


def test_a_builtin_bundle_is_found_with_and_without_its_scheme(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_BUILTIN_FOLDERS", (tmp_path / "absent", tmp_path))
    assert builtin("model") == builtin("builtin://model") == folder


@pytest.mark.parametrize("name", ["gpt-9", "", ".", "..", "../models/model", "/etc"])
def test_an_unknown_builtin_names_those_that_ship(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(bundle, "_BUILTIN_FOLDERS", (tmp_path,))
    with pytest.raises(BundleError, match="does not ship") as caught:
        builtin(name)
    assert caught.value.fix == "use one of: builtin://model"
