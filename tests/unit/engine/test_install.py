from __future__ import annotations

import http.server
import importlib.metadata
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmctl_stacks.engine import cli, install, recipe
from llmctl_stacks.engine.__main__ import main
from llmctl_stacks.engine.install import NotThisWay, OnProgress, ensure_cli
from llmctl_stacks.errors import EngineMissing
from llmctl_stacks.home import Home

sys.path.insert(0, str(Path(__file__).parent))
import fakes

GOOD = f"""import pathlib
pathlib.Path(out).parent.mkdir(exist_ok=True)
pathlib.Path(out).write_text('#!{sys.executable} -ISE\\nprint("v{recipe.VERSION}")\\n')
os.chmod(out, 0o755)"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def _ignore(line: str) -> None:
    del line


def _unreachable(folder: Path, on_progress: OnProgress) -> None:
    raise NotThisWay("https://get.pulumi.com cannot be reached (no route)")


def _good(folder: Path, on_progress: OnProgress) -> None:
    fakes.pulumi(folder / "bin" / "pulumi", recipe.VERSION)
    fakes.script(folder / "bin" / "pulumi-language-python", "")


def test_the_sdk_and_the_cli_are_of_one_version() -> None:
    assert importlib.metadata.version("pulumi") == recipe.VERSION
    assert f"pkg/v3 v{recipe.VERSION}" in (recipe.MODULE / "go.mod").read_text()
    assert f"sdk/v3 v{recipe.VERSION}" in (recipe.MODULE / "go.mod").read_text()
    assert f"go {recipe.GO[0]}.{recipe.GO[1]}" in (recipe.MODULE / "go.mod").read_text()


def test_the_key_follows_module_and_flags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = recipe.key()
    assert before == recipe.key()

    monkeypatch.setattr(recipe, "FLAGS", (*recipe.FLAGS, "-v"))
    assert recipe.key() != before
    monkeypatch.undo()
    for name in ("go.mod", "go.sum"):
        (tmp_path / name).write_bytes((recipe.MODULE / name).read_bytes())
    (tmp_path / "go.sum").write_text("changed")
    monkeypatch.setattr(recipe, "MODULE", tmp_path)
    assert recipe.key() != before


def test_the_chosen_cli_comes_first(home: Home, bin_folder: Path) -> None:
    chosen = fakes.pulumi(bin_folder / "mine", recipe.VERSION)
    fakes.pulumi(bin_folder / "pulumi", recipe.VERSION)

    found = cli.find_cli(home, {"LLMCTL_PULUMI": str(chosen), "PATH": str(bin_folder)})

    assert found == cli.EngineBinary(chosen, recipe.VERSION, "LLMCTL_PULUMI")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: fakes.pulumi(path, "3.100.0"), "which is version 3.100.0"),
        (lambda path: fakes.script(path, "sys.exit(3)"), "which cannot be run"),
        (lambda path: path.write_text("text"), "which cannot be run"),
        (lambda path: None, "which does not exist"),
    ],
)
def test_a_chosen_cli_that_will_not_do_is_not_passed_over(
    home: Home, bin_folder: Path, make: Callable[[Path], object], said: str
) -> None:
    make(bin_folder / "mine")
    fakes.pulumi(bin_folder / "pulumi", recipe.VERSION)
    environ = {"LLMCTL_PULUMI": str(bin_folder / "mine"), "PATH": str(bin_folder)}

    for find in (cli.find_cli, lambda home, environ: ensure_cli(home, environ=environ, ways=[_good])):
        with pytest.raises(EngineMissing, match=said):
            find(home, environ)
    assert not home.engine.exists()


def test_the_managed_copy_comes_before_path_and_is_not_asked(home: Home, bin_folder: Path) -> None:
    fakes.pulumi(bin_folder / "pulumi", recipe.VERSION)
    managed = fakes.script(cli.managed_path(home), "sys.exit('asked')")

    assert cli.find_cli(home, {"PATH": str(bin_folder)}) == cli.EngineBinary(managed, recipe.VERSION, "managed")


def test_a_cli_on_path_is_used_only_in_the_right_version(home: Home, bin_folder: Path) -> None:
    path = fakes.pulumi(bin_folder / "pulumi", recipe.VERSION)
    assert cli.find_cli(home, {"PATH": str(bin_folder)}) == cli.EngineBinary(path, recipe.VERSION, "PATH")

    fakes.pulumi(path, "3.300.0-beta.1")
    with pytest.raises(EngineMissing, match=r"is 3\.300\.0-beta\.1"):
        cli.find_cli(home, {"PATH": str(bin_folder)})


def test_no_cli_at_all_names_three_ways_out(home: Home, bin_folder: Path) -> None:
    with pytest.raises(EngineMissing, match="there is none on PATH") as caught:
        cli.find_cli(home, {"PATH": str(bin_folder)})

    for way in ("get.pulumi.com", "Go 1.26", "LLMCTL_PULUMI"):
        assert way in caught.value.fix


def test_the_first_way_that_works_is_taken(home: Home, bin_folder: Path) -> None:
    found = ensure_cli(home, environ={"PATH": str(bin_folder)}, ways=[_unreachable, _good])

    assert found == cli.EngineBinary(cli.managed_path(home), recipe.VERSION, "managed")
    assert (found.path.parent / "pulumi-language-python").exists()
    assert sorted(path.name for path in home.engine.iterdir()) == [".lock", found.path.parent.parent.name]
    assert ensure_cli(home, environ={"PATH": str(bin_folder)}, ways=[]) == found


def test_when_no_way_works_each_says_why(home: Home, bin_folder: Path) -> None:
    def wrong(folder: Path, on_progress: OnProgress) -> None:
        fakes.pulumi(folder / "bin" / "pulumi", "1.0.0")

    fakes.pulumi(bin_folder / "pulumi", "3.1.0")

    with pytest.raises(EngineMissing) as caught:
        ensure_cli(home, environ={"PATH": str(bin_folder)}, ways=[_unreachable, wrong])

    path, unreachable, version = caught.value.why.splitlines()
    assert path.endswith("is 3.1.0")
    assert unreachable == "https://get.pulumi.com cannot be reached (no route)"
    assert version == f"what was made says that its version is 1.0.0, not {recipe.VERSION}"
    assert [path.name for path in home.engine.iterdir()] == [".lock"]


def _build(bin_folder: Path, home: Home, monkeypatch: pytest.MonkeyPatch, told: list[str]) -> cli.EngineBinary:
    monkeypatch.setenv("PATH", str(bin_folder))
    return ensure_cli(home, told.append, {"PATH": str(bin_folder)}, [install.build])


def test_a_build_gets_the_pinned_module_and_flags_and_tells_the_seconds(
    home: Home, bin_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    look = (
        f"open({str(seen)!r}, 'w').write(json.dumps([sys.argv[1:], sorted(os.listdir()), "
        "{k: os.environ[k] for k in ('CGO_ENABLED', 'GOWORK', 'GOFLAGS')}]))\ntime.sleep(1.2)\n"
    )
    fakes.go(bin_folder / "go", look + GOOD)
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    told: list[str] = []

    found = _build(bin_folder, home, monkeypatch, told)

    assert cli.version_of(found.path) == recipe.VERSION
    arguments, files, environment = json.loads(seen.read_text())
    assert arguments[0] == "build"
    assert tuple(arguments[1:-3]) == recipe.FLAGS
    assert arguments[-1] == recipe.PACKAGE
    assert {"go.mod", "go.sum"} <= set(files)
    assert environment == recipe.ENVIRONMENT
    assert told[:2] == [f"building the Pulumi CLI from source, once: {s} s of about 330 s" for s in (0, 1)]


@pytest.mark.parametrize(
    ("go", "said"),
    [
        (lambda path: None, "there is no Go toolchain on PATH"),
        (lambda path: fakes.go(path, "", "go1.25.9"), "building it needs Go 1.26"),
        (lambda path: fakes.script(path, "sys.exit('go: no toolchain go1.26')"), "go: no toolchain go1.26"),
        (lambda path: fakes.go(path, "sys.exit('no such host')"), "failed (1): no such host"),
    ],
)
def test_a_build_that_cannot_be_done_says_why(
    home: Home,
    bin_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    go: Callable[[Path], object],
    said: str,
) -> None:
    go(bin_folder / "go")

    with pytest.raises(EngineMissing) as caught:
        _build(bin_folder, home, monkeypatch, [])

    assert said in caught.value.why
    assert not cli.managed_path(home).exists()


def test_a_build_that_takes_too_long_is_ended_with_all_that_it_started(
    home: Home, bin_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    fakes.go(bin_folder / "go", f"open({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")
    monkeypatch.setattr(install, "_BUILD_SECONDS", 0.8)

    with pytest.raises(EngineMissing, match="took over 1 s"):
        _build(bin_folder, home, monkeypatch, [])

    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_site_that_does_not_answer_is_given_up_quickly(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_INSTALLER", "http://127.0.0.1:9/install.sh")

    with pytest.raises(NotThisWay, match="cannot be reached"):
        install.official(tmp_path, _ignore)


@pytest.mark.parametrize("works", [True, False])
def test_the_official_installer_runs_in_a_process_of_its_own(
    home: Home, monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    made = (
        f"import pathlib, os, sys\nout = sys.argv[1] + '/bin/pulumi'\n{GOOD}"
        if works
        else "raise SystemExit('403')"
    )
    monkeypatch.setattr(install, "_OFFICIAL", made)
    told: list[str] = []

    with http.server.HTTPServer(("127.0.0.1", 0), _Site) as site:
        monkeypatch.setattr(install, "_INSTALLER", f"http://127.0.0.1:{site.server_port}/install.sh")
        thread = threading.Thread(target=site.handle_request)
        thread.start()
        if works:
            found = ensure_cli(home, told.append, {"PATH": "/nowhere"}, [install.official])
            assert found.origin == "managed"
        else:
            with pytest.raises(EngineMissing, match="403"):
                ensure_cli(home, told.append, {"PATH": "/nowhere"}, [install.official])
        thread.join()
    assert told[0] == "downloading the Pulumi CLI: 0 s"


class _Site(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def _ensure_slowly(home: Home, started: Path) -> None:
    def slow(folder: Path, on_progress: OnProgress) -> None:
        (folder / "bin").mkdir()
        (folder / "bin" / "pulumi").write_text("half")
        started.touch()
        time.sleep(60)

    ensure_cli(home, environ={"PATH": "/nowhere"}, ways=[slow])


def test_an_installation_that_is_killed_leaves_nothing_that_would_be_used(home: Home, tmp_path: Path) -> None:
    started = tmp_path / "started"
    process = multiprocessing.get_context("spawn").Process(target=_ensure_slowly, args=(home, started))
    process.start()
    while not started.exists():
        assert process.is_alive()
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    process.close()

    assert [path for path in home.engine.iterdir() if path.name.startswith(".staging-")]
    with pytest.raises(EngineMissing):
        cli.find_cli(home, {"PATH": "/nowhere"})
    found = ensure_cli(home, environ={"PATH": "/nowhere"}, ways=[_good])

    assert cli.version_of(found.path) == recipe.VERSION
    assert not [path for path in home.engine.iterdir() if path.name.startswith(".staging-")]


def test_the_second_of_two_at_once_waits_and_uses_what_the_first_made(home: Home) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow(folder: Path, on_progress: OnProgress) -> None:
        entered.set()
        go_on.wait(10)
        _good(folder, on_progress)

    first = threading.Thread(target=ensure_cli, args=(home, _ignore, {"PATH": "/nowhere"}, [slow]))
    first.start()
    entered.wait(10)
    told: list[str] = []

    def progress(line: str) -> None:
        told.append(line)
        go_on.set()

    found = ensure_cli(home, progress, {"PATH": "/nowhere"}, ways=[])
    first.join()

    assert found.origin == "managed"
    assert told[0] == "another llmctl is installing the Pulumi CLI; waiting: 0 s"


def test_the_module_prints_the_path_and_nothing_else(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(bin_folder))
    path = fakes.pulumi(bin_folder / "pulumi", recipe.VERSION)

    assert main() == 0
    assert capsys.readouterr() == (f"{path}\n", "")


def test_the_module_ends_with_the_error_its_cure_and_its_exit_code(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMCTL_PULUMI", str(bin_folder / "none"))

    assert main() == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "does not exist" in err
    assert "fix: point LLMCTL_PULUMI at it" in err
