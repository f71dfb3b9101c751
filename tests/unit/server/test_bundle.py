from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from llmctl_image.bundle import bundle_digest, write_bundle
from llmctl_server.bundle import read_bundle
from llmctl_server.errors import ExitCode, StartError
from support import tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tiny_model.write_bundle(tmp_path / "bundle")
    (folder / "README.md").write_text("# tiny ✓\n", encoding="utf-8")
    (folder / ".DS_Store").write_text("no part of it")
    return folder


@pytest.fixture
def tar(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "bundle.tar"
    with path.open("wb") as file:
        write_bundle(folder, file)
    return path


def refusal(*args: object) -> str:
    with pytest.raises(StartError) as caught:
        read_bundle(*args)  # type: ignore[arg-type]
    assert caught.value.exit_code == ExitCode.CONFIG
    (line,) = caught.value.lines
    assert "\n" not in line
    return line


def test_a_folder_a_tar_and_a_descriptor_hold_the_same_bundle(folder: Path, tar: Path) -> None:
    descriptor = os.open(tar, os.O_RDONLY)

    assert read_bundle(folder, None, None) == read_bundle(tar, None, None) == read_bundle(None, descriptor, None)


def test_the_digest_is_the_one_that_the_image_package_gives(folder: Path) -> None:
    assert read_bundle(folder, None, None).digest == bundle_digest(folder)


def test_the_files_arrive_as_they_are(folder: Path) -> None:
    bundle = read_bundle(folder, None, bundle_digest(folder))

    assert bundle.model == (folder / "model.onnx").read_bytes()
    assert bundle.tokenizer == (folder / "tokenizer.json").read_bytes()
    assert bundle.card["name"] == "tiny"


def test_another_bundle_than_the_expected_one_is_refused(folder: Path) -> None:
    expected = bundle_digest(folder)
    (folder / "README.md").write_text("changed")

    line = refusal(folder, None, expected)

    assert expected in line
    assert bundle_digest(folder) in line


def test_a_descriptor_is_read_from_its_start_and_closed(tar: Path) -> None:
    descriptor = os.open(tar, os.O_RDONLY)
    os.lseek(descriptor, 100, os.SEEK_SET)

    assert read_bundle(None, descriptor, None).card["name"] == "tiny"
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(descriptor)


def test_a_pipe_will_do_as_a_descriptor(tar: Path) -> None:
    content = tar.read_bytes()
    reader, writer = os.pipe()
    assert len(content) <= 65536
    os.write(writer, content)
    os.close(writer)

    assert read_bundle(None, reader, None).card["name"] == "tiny"


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none", None, None) == f"cannot read the model from {tmp_path}/none: " + os.strerror(
        2
    )


def test_a_descriptor_that_is_not_open_is_named() -> None:
    assert refusal(None, 987, None).startswith("cannot read the model from file descriptor 987: ")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "model_card.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()

    assert refusal(folder, None, None) == f"the model in {folder} has no {name}"


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"no tar at all" * 100])
def test_what_is_not_a_tar_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bundle.tar"
    path.write_bytes(content)

    assert refusal(path, None, None).startswith(f"the model in {path} ")


def test_a_tar_that_was_cut_off_is_refused(tar: Path) -> None:
    tar.write_bytes(tar.read_bytes()[:900])

    assert refusal(tar, None, None).startswith(f"the model in {tar} ")


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_card_that_is_no_object_is_refused(folder: Path, content: str) -> None:
    (folder / "model_card.json").write_text(content)

    assert refusal(folder, None, None).startswith("model_card.json in ")


def test_a_link_is_refused_because_its_target_can_change(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "model.onnx", tmp_path / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")

    assert refusal(folder, None, None) == f"{folder / 'model.onnx'} is a link: a bundle holds plain files"
