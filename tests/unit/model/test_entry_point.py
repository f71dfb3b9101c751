"""`python -m llmctl_model` answers usage at once and fails in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmctl_model import __main__ as entry

PACKAGES = str(Path(entry.__file__).parents[1])


def run(*argv: str, path: str = PACKAGES, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "llmctl_model", *argv],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_the_options_and_needs_no_torch(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise RuntimeError('imported')")
    done = run("--help", path=f"{tmp_path}:{PACKAGES}")
    assert done.returncode == 0, done.stderr
    assert all(option in done.stdout for option in ("--cache", "--out", "--check"))


def test_an_unknown_option_is_wrong_usage() -> None:
    done = run("--epochs", "3")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "python -m llmctl_model: error: unrecognized arguments: --epochs 3"


def test_without_torch_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no', name='torch')")
    done = run(path=f"{tmp_path}:{PACKAGES}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: torch is not installed (pip install 'llmctl-deploy[train]')\n"


def test_the_process_starts_again_with_its_settings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, str]] = []
    monkeypatch.setattr(os, "execve", lambda program, argv, environment: started.append(environment))
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    entry.start_again_with_knobs()
    assert started[0]["MALLOC_TRIM_THRESHOLD_"] == started[0]["MALLOC_MMAP_THRESHOLD_"] == "34359738368"
    assert started[0]["OMP_WAIT_POLICY"] == "active"  # what the user set stays
    for name, value in started[0].items():
        monkeypatch.setenv(name, value)
    entry.start_again_with_knobs()
    assert len(started) == 1
