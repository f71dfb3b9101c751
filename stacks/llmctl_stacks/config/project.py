"""Where a project's files are: `llmctl.yaml`, and one `stacks/<stack>.yaml` for each stack."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from llmctl_stacks.config.suggest import did_you_mean
from llmctl_stacks.errors import NotFoundError, UsageError
from llmctl_stacks.home import check_name

BASE_NAME = "llmctl.yaml"
STACKS_NAME = "stacks"


@dataclass(frozen=True)
class Project:
    """The files of one project.

    Attributes:
        root: the folder that holds them, absolute.
        base_file: what all stacks share.
        stacks_dir: the folder of the stacks' own files.
    """

    root: Path
    base_file: Path
    stacks_dir: Path

    def stacks(self) -> tuple[str, ...]:
        """Names of the stacks that have a file, sorted."""
        try:
            files = [path for path in self.stacks_dir.iterdir() if path.suffix == ".yaml"]
        except OSError:
            return ()
        return tuple(sorted(path.stem for path in files if _is_stack_name(path.stem)))

    def stack_file(self, stack: str) -> Path:
        """The file of a stack.

        Raises:
            UsageError: when `stack` is no name of a stack.
            NotFoundError: when the stack has no file.
        """
        path = self.stacks_dir / f"{check_name('stack', stack)}.yaml"
        if os.path.lexists(path):
            return path
        known = self.stacks()
        if (other := path.with_suffix(".yml")).exists():
            fix = f"rename {shown(other)} to {path.name}"
        elif hint := did_you_mean(stack, known):
            fix = hint
        else:
            fix = f"write {shown(path)}, or run `llmctl init` for a first one"
        stacks = f"stacks here: {', '.join(known)}" if known else f"{shown(self.stacks_dir)} has no stack files"
        raise NotFoundError(f"no stack {stack!r}", stacks, fix, stacks=list(known))


def find_project(start: Path, explicit: Path | None = None) -> Project:
    """Find the project of a folder.

    Args:
        start: where to begin; its parents are searched too.
        explicit: the base file or the folder that holds it; nothing is searched then.

    Raises:
        NotFoundError: when there is none.
    """
    if explicit is not None:
        base = start / explicit.expanduser()
        if base.is_dir() and base.name != BASE_NAME:
            base /= BASE_NAME
        if not os.path.lexists(base):
            raise NotFoundError(f"no file {shown(base)}", "", "run `llmctl init` to write one")
        return _project(base)
    begin = start.absolute()
    for folder in (begin, *begin.parents):
        if os.path.lexists(folder / BASE_NAME):
            return _project(folder / BASE_NAME)
    raise NotFoundError(
        f"no {BASE_NAME} in {begin} or above it", "", "run `llmctl init` to write one, or name it with --config"
    )


def shown(path: Path) -> Path:
    """`path` as the user would type it: relative to the working folder when it is not far away."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return path
    return path if relative.startswith("../../..") else Path(relative)


def _project(base: Path) -> Project:
    """The project around a base file."""
    base = Path(os.path.normpath(base.absolute()))
    return Project(base.parent, base, base.parent / STACKS_NAME)


def _is_stack_name(name: str) -> bool:
    """Whether `name` may be that of a stack."""
    try:
        check_name("stack", name)
    except UsageError:
        return False
    return True
