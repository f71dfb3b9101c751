"""Files that only their owner may read, written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from llmctl_infra.errors import ResourceError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def private_folder(path: Path) -> Path:
    """Make `path` and the folders above it that are missing, and close it to everybody else.

    Raises:
        ResourceError: when it cannot be made.
    """
    with explained(f"cannot make the folder {path}", path):
        path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        path.chmod(PRIVATE_FOLDER)
    return path


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file that takes the place of `path` when the block ends well, and leaves no trace otherwise.

    The new content is on the disk before it gets the name, so that a crash leaves the old file or the new one.

    Raises:
        ResourceError: when it cannot be written; on a full disk it says how much is free.
    """
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    with explained(f"cannot write {path}", path):
        try:
            with _create(temporary) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_private(path: Path, content: bytes | str) -> None:
    """Write a whole file, mode 0600, in place of what `path` was.

    Raises:
        ResourceError: when it cannot be written.
    """
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_if_changed(path: Path, content: str) -> bool:
    """Write `content` unless the file holds it already with the right mode; say whether it was written."""
    if not content_drift(path, content):
        return False
    write_private(path, content)
    return True


def content_drift(path: Path, content: str) -> tuple[str, ...]:
    """How a file differs from what was written: missing, edited, or open to others. Empty when it does not."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return (f"{path} is missing",)
    except OSError as error:
        return (f"{path} cannot be read: {error.strerror}",)
    edited = () if found == content.encode() else (f"{path} was edited",)
    return edited + mode_drift(path)


def mode_drift(path: Path, wanted: int = PRIVATE_FILE) -> tuple[str, ...]:
    """Whether a file or folder may be used by more people than its owner."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return (f"{path} has mode {mode:04o}, not {wanted:04o}",) if mode != wanted else ()


@contextmanager
def explained(what: str, path: Path) -> Iterator[None]:
    """Turn an operating system error inside the block into a `ResourceError` that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = f"the disk is full, {_free(path)} are free" if full else (error.strerror or str(error))
        fix = "free space on that disk, then run the command again" if full else ""
        raise ResourceError(what, why, fix) from error


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it; what is not there is fine.

    Raises:
        ResourceError: when something cannot be removed.
    """
    with explained(f"cannot remove {path}", path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def remove_if_empty(path: Path) -> None:
    """Remove a folder if nothing is in it."""
    try:
        path.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
            raise ResourceError(f"cannot remove {path}", error.strerror or str(error)) from error


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb")


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free(path: Path) -> str:
    existing = next(folder for folder in path.absolute().parents if folder.exists())
    return f"{shutil.disk_usage(existing).free / 2**20:.1f} MiB"
