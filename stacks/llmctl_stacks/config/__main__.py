"""`python -m llmctl_stacks.config FOLDER`: write the generated reference files into FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from llmctl_stacks.config import markdown_reference
from llmctl_stacks.config.scaffold import schema_text


def generated() -> dict[str, str]:
    """The generated files by name."""
    return {"config.md": markdown_reference(), "llmctl.schema.json": schema_text()}


def main(arguments: list[str]) -> None:
    """Write the files into the folder that is the one argument."""
    if len(arguments) != 1:
        sys.exit("usage: python -m llmctl_stacks.config FOLDER")
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generated().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
