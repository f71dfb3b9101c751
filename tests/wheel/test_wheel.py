"""The wheel alone, in an empty environment and outside the checkout, is a whole llmctl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheel, pytest.mark.platform, pytest.mark.engine, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(
        words, check=False, cwd=cwd, env=dict(environment), capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scripts folder of an empty environment with the wheel and its locked dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", ROOT]
    built = run(*build, cwd=folder, environment=environment)
    assert built.returncode == 0, built.stderr[-3000:]
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    wheel = next((folder / "dist").glob("*.whl"))
    lock = ROOT / ".requirements" / "base.lock"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps"]
    for arguments in (["--require-hashes", "-r", lock], [wheel]):
        done = run(*pip, *arguments, cwd=folder, environment=environment)
        assert done.returncode == 0, done.stderr[-3000:]
    return python.parent


@pytest.fixture
def environment(tmp_path: Path, installed: Path) -> Iterator[dict[str, str]]:
    kept = {name: os.environ[name] for name in ("LLMCTL_PULUMI", "LANG") if name in os.environ}
    values = {
        **kept,
        "HOME": str(tmp_path / "user"),
        "LLMCTL_HOME": str(tmp_path / "user" / "llmctl"),
        "PATH": f"{installed}:/usr/bin:/bin",
    }
    (tmp_path / "user").mkdir()
    yield values
    run(installed / "llmctl", "down", "--all", "--yes", cwd=tmp_path / "shop", environment=values)


def test_a_project_made_by_the_installed_wheel_answers_and_goes_away(
    installed: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    shop = tmp_path / "shop"

    def llmctl(*arguments: str, cwd: Path = shop) -> subprocess.CompletedProcess[str]:
        return run(installed / "llmctl", *arguments, cwd=cwd, environment=environment)

    made = llmctl("init", "shop", cwd=tmp_path)
    up = llmctl("up", "--output", "json")
    asked = llmctl("invoke", "local", "a warm and funny film", "--output", "json")
    down = llmctl("down", "--all", "--yes")

    assert made.returncode == 0, made.stderr
    assert up.returncode == 0, up.stderr
    assert json.loads(asked.stdout)["body"]["label"] == "positive"
    assert down.returncode == 0, down.stderr
