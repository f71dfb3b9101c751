"""The private folder of a user."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmctl_stacks.errors import PreflightError, UsageError
from llmctl_stacks.home import Home, check_name


def test_the_passphrase_is_made_once_by_whoever_comes_first_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")

    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(lambda _: home.passphrase(), range(64)))

    assert len(made) == 1
    assert len(made.pop()) > 40
    assert stat.S_IMODE((home.root / "passphrase").stat().st_mode) == 0o600
    assert [path.name for path in home.root.iterdir()] == ["passphrase"]


def test_a_passphrase_that_others_can_read_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.passphrase()
    (tmp_path / "passphrase").chmod(0o644)

    with pytest.raises(PreflightError, match="can be read by others"):
        home.passphrase()


def test_a_passphrase_in_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCTL_PASSPHRASE", "given")

    assert Home(tmp_path / "new").passphrase() == "given"
    assert not (tmp_path / "new").exists()


def test_a_home_below_a_file_is_a_preflight_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(PreflightError) as raised:
        Home(tmp_path / "file" / "home").ensure()

    assert str(tmp_path / "file" / "home") in raised.value.what
    assert "LLMCTL_HOME" in raised.value.fix


@pytest.mark.parametrize("name", ["", "../prod", "Prod", "a_b", "a-", "1a", "a" * 41, "a/b", "a\n"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_name("stack", name)


@pytest.mark.parametrize("name", ["a", "prod", "pr-12", "a" * 40])
def test_a_good_name_comes_back(name: str) -> None:
    assert check_name("stack", name) == name
