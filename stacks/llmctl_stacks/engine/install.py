"""Gets the Pulumi CLI where there is none: the official installer, else a build from the pinned Go module.

What is made appears under its final name in one rename, after it has said its version. One process at a time
works; what a killed one left is removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from llmctl_stacks.engine import recipe
from llmctl_stacks.engine.cli import EngineBinary, find_cli, managed_path, missing, version_of
from llmctl_stacks.errors import EngineMissing
from llmctl_stacks.home import Home

OnProgress: TypeAlias = Callable[[str], None]
"""Gets one line of progress about once a second; a new line replaces the one before."""

_INSTALLER = "https://get.pulumi.com/install.sh"
_REACH_SECONDS = 5.0
_INSTALL_SECONDS = 300.0
_BUILD_SECONDS = 3600.0
_STAGING = ".staging-"
_OFFICIAL = "import sys; from pulumi.automation import PulumiCommand; PulumiCommand.install(root=sys.argv[1])"


class NotThisWay(Exception):
    """Raised by a way to get the CLI that cannot be gone on this machine; says why in a line."""


Way: TypeAlias = Callable[[Path, OnProgress], None]
"""Puts the CLI at `<folder>/bin/pulumi`, or raises `NotThisWay`."""


def ensure_cli(
    home: Home,
    on_progress: OnProgress = lambda _: None,
    environ: Mapping[str, str] | None = None,
    ways: Sequence[Way] | None = None,
) -> EngineBinary:
    """Find the CLI, or install it into llmctl's own home.

    Args:
        home: gets the managed copy.
        on_progress: told what goes on.
        environ: variables that say where to look; `os.environ` when None.
        ways: how to get it, in order; by default the official installer, then a build.

    Raises:
        EngineMissing: when no way leads to a CLI, or `LLMCTL_PULUMI` names a wrong one.
    """
    given = os.environ if environ is None else environ
    try:
        return find_cli(home, given)
    except EngineMissing as error:
        if given.get("LLMCTL_PULUMI"):
            raise  # the user chose one: say that it will not do, do not go around it
        found = error.why
    home.ensure()
    home.engine.mkdir(mode=0o700, exist_ok=True)
    with _alone(home.engine / ".lock", on_progress):
        with suppress(EngineMissing):
            return find_cli(home, given)  # another llmctl was quicker
        _install(home, on_progress, [found], (official, build) if ways is None else ways)
    return find_cli(home, given)


def official(folder: Path, on_progress: OnProgress) -> None:
    """Run Pulumi's own installer, if its site answers."""
    try:
        request = urllib.request.Request(_INSTALLER, method="HEAD")
        with urllib.request.urlopen(request, timeout=_REACH_SECONDS):  # noqa: S310
            pass
    except (OSError, urllib.error.URLError) as error:
        raise NotThisWay(
            f"https://get.pulumi.com cannot be reached ({getattr(error, 'reason', error)})"
        ) from error
    command = [sys.executable, "-c", _OFFICIAL, str(folder)]
    _watch(command, folder, None, _INSTALL_SECONDS, lambda s: on_progress(f"downloading the Pulumi CLI: {s} s"))


def build(folder: Path, on_progress: OnProgress) -> None:
    """Build from the Go module that ships with llmctl."""
    go = shutil.which("go")
    if go is None:
        raise NotThisWay("there is no Go toolchain on PATH to build it with")
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(recipe.MODULE / name, folder / name)
    environment = {**os.environ, **recipe.ENVIRONMENT}
    _check_go(go, folder, environment)
    command = [go, "build", *recipe.FLAGS, "-o", str(folder / "bin" / "pulumi"), recipe.PACKAGE]

    def progress(seconds: int) -> None:
        on_progress(f"building the Pulumi CLI from source, once: {seconds} s of about {recipe.SECONDS} s")

    _watch(command, folder, environment, _BUILD_SECONDS, progress)


def _install(home: Home, on_progress: OnProgress, reasons: list[str], ways: Sequence[Way]) -> None:
    for left in home.engine.glob(f"{_STAGING}*"):  # we are alone here: whoever made it was killed
        shutil.rmtree(left, ignore_errors=True)
    target = managed_path(home).parent.parent
    for way in ways:
        folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=home.engine))
        try:
            way(folder, on_progress)
            _place(folder, target)
        except NotThisWay as error:
            reasons.append(str(error))
        else:
            return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    raise missing(*reasons)


def _place(folder: Path, target: Path) -> None:
    """Give what was made in `folder` its final name.

    Raises:
        NotThisWay: when it is not the version that was asked for.
    """
    version = version_of(folder / "bin" / "pulumi")
    if version != recipe.VERSION:
        raise NotThisWay(f"what was made says that its version is {version or 'unknown'}, not {recipe.VERSION}")
    ready = folder / "ready"
    ready.mkdir()
    (folder / "bin").rename(ready / "bin")  # with the plugins that the installer puts beside the CLI
    shutil.rmtree(target, ignore_errors=True)
    ready.rename(target)


@contextmanager
def _alone(path: Path, on_progress: OnProgress) -> Iterator[None]:
    """Hold the lock file at `path`; wait for whoever holds it. The kernel frees it when its holder dies."""
    started = time.monotonic()
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = round(time.monotonic() - started)
                on_progress(f"another llmctl is installing the Pulumi CLI; waiting: {waited} s")
                time.sleep(1.0)
        yield


def _check_go(go: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Refuse a Go that is too old and cannot get a newer one by itself.

    Raises:
        NotThisWay: with its version, or with what it said.
    """
    # Inside the module `go` switches to the toolchain that the module asks for, when it is allowed to.
    asked = subprocess.run(
        [go, "env", "GOVERSION"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    wanted = ".".join(map(str, recipe.GO))
    found = re.match(r"go(\d+)\.(\d+)", asked.stdout)
    if found is None:
        said = (asked.stderr.strip().splitlines() or ["it does not say its version"])[-1]
        raise NotThisWay(f"building it needs Go {wanted}; {go}: {said}")
    if (int(found[1]), int(found[2])) < recipe.GO:
        raise NotThisWay(f"building it needs Go {wanted}; {go} is {asked.stdout.strip()}")


def _watch(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] | None,
    limit: float,
    progress: Callable[[int], None],
) -> None:
    """Run a long command, telling the seconds; nothing of it outlives this call.

    Raises:
        NotThisWay: when it fails or takes longer than `limit` seconds; with its last line.
    """
    started = time.monotonic()
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while process.poll() is None and time.monotonic() - started < limit:
            progress(round(time.monotonic() - started))
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
        if process.returncode != 0:
            last = (log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
            ended = f"took over {limit:.0f} s" if process.returncode is None else f"failed ({process.returncode})"
            raise NotThisWay(f"`{' '.join(command[:2])} …` {ended}: {last}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
