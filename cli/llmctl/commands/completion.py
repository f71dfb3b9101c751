"""`llmctl completion`: the script that teaches a shell to complete."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from llmctl.console import Console


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="`bash`, `zsh` or `fish`")
    ],
) -> None:
    """Print the script that lets a shell complete commands.

    It completes verbs, options and the names of stacks.

    For bash: `llmctl completion bash > ~/.local/share/bash-completion/completions/llmctl`.
    For zsh, into a folder of `$fpath`, as `_llmctl`. For fish: `~/.config/fish/completions/llmctl.fish`.
    """
    from typer._completion_shared import get_completion_script

    Console().data(get_completion_script(prog_name="llmctl", complete_var="_LLMCTL_COMPLETE", shell=shell))
