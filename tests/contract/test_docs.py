"""Pages that people read: links lead somewhere, commands exist, the README's two commands are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]

    assert missing == []


def test_every_command_in_an_example_exists() -> None:
    usage = subprocess.run(
        [sys.executable, "-m", "llmctl", "--help"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    known = set(re.findall(r"^  ([a-z]+)  ", usage, re.MULTILINE))
    written = {
        (page.name, verb)
        for page in PAGES
        for line in page.read_text().splitlines()
        if line.lstrip().startswith(("$ llmctl", "| see", "| run")) or "`llmctl " in line
        for verb in re.findall(r"(?:`|\$ |bin/)llmctl ([a-z]+)", line)
    }

    assert len(known) > 10
    assert {(name, verb) for name, verb in written if verb not in known} == set()


def test_the_readme_starts_with_one_sentence_and_two_commands() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()

    assert lines[0] == "# llmctl"
    assert lines[2].endswith(".")
    assert lines[4:8] == ["```", "make up", "make test", "```"]
