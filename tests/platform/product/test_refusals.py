"""What is refused before anything is changed: one clear message, the right exit code, no traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from support.product import Product


def refused(product: Product, code: int, *words: str, arguments: tuple[str, ...] = ("up", "local")) -> str:
    done = product(*arguments)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert product.processes() == []
    return done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("target: local\nscalling: {replicas: 2}\n", ["stacks/local.yaml:2", "scalling", "scaling"]),
        ("target: local\nscaling: {replicas: two}\n", ["stacks/local.yaml:2", "scaling.replicas"]),
        ("target: local\ntarget: local\n", ["stacks/local.yaml:2", "target"]),
        ("target: local\nscaling:\n\treplicas: 2\n", ["stacks/local.yaml:3", "tab"]),
        ("target: local\naws: {account: '123456789012', region: us-east-1}\n", ["stacks/local.yaml:2", "local"]),
    ],
)
def test_a_bad_file_names_file_line_and_key(product: Product, text: str, words: list[str]) -> None:
    (product.folder / "stacks" / "local.yaml").write_text(text)

    refused(product, 2, *words)


def test_an_unknown_stack_is_not_found_and_a_path_is_no_name(product: Product) -> None:
    refused(product, 9, "nope", arguments=("up", "nope"))
    refused(product, 2, "../local", arguments=("up", "../local"))


def test_a_folder_without_a_project_says_llmctl_init(product: Product, tmp_path: Path) -> None:
    product.folder = tmp_path / "empty"
    product.folder.mkdir()

    refused(product, 9, "llmctl init")


def test_a_taken_port_names_the_process_that_has_it(product: Product) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        product.configure(gateway={"port": taken.getsockname()[1]})

        refused(product, 3, str(taken.getsockname()[1]), str(os.getpid()))


def test_a_home_that_cannot_be_written_to_is_named(product: Product) -> None:
    blocked = product.folder / "file"
    blocked.write_text("")
    product.environment["LLMCTL_HOME"] = str(blocked / "home")

    refused(product, 3, str(blocked))


def test_a_target_of_a_later_version_is_refused_in_one_line(product: Product) -> None:
    (product.folder / "stacks" / "local.yaml").write_text(
        "target: kubernetes\nkubernetes: {registry: 'localhost:5001'}\n"
    )
    (product.folder / "llmctl.yaml").write_text("schema: 1\nname: shop\n")

    refused(product, 3, "kubernetes", "not available")


def test_a_wrong_engine_is_named_with_the_way_out(product: Product, tmp_path: Path) -> None:
    wrong = tmp_path / "pulumi"
    wrong.write_text("#!/bin/sh\necho v3.1.0\n")
    wrong.chmod(0o755)
    product.environment["LLMCTL_PULUMI"] = str(wrong)

    refused(product, 3, "3.1.0", "LLMCTL_PULUMI")


def test_without_an_engine_and_without_go_the_three_ways_out_are_named(product: Product) -> None:
    product.environment.pop("LLMCTL_PULUMI", None)
    product.environment["PATH"] = "/nowhere"

    said = refused(product, 3, "Go 1.26", "LLMCTL_PULUMI", "llmctl doctor --fix")

    assert "get.pulumi.com" in said
    assert not product.root.exists()


def test_an_engine_that_crashes_is_told_and_the_next_up_goes_on(product: Product, tmp_path: Path) -> None:
    real = product.environment["LLMCTL_PULUMI"]
    broken = tmp_path / "pulumi"
    broken.write_text(f'#!/bin/sh\ncase "$*" in *up*--stack*) kill -9 $$;; esac\nexec {real} "$@"\n')
    broken.chmod(0o755)
    product.environment["LLMCTL_PULUMI"] = str(broken)

    refused(product, 4, "engine")
    product.environment["LLMCTL_PULUMI"] = real

    assert product.up()["first_answer"]["label"] == "positive"
    product.good("down", "--all", "--yes")


def test_down_without_a_terminal_asks_for_yes_and_of_nothing_is_not_found(product: Product) -> None:
    refused(product, 2, "--yes", arguments=("down", "local"))
    refused(product, 9, "not up", arguments=("down", "local", "--yes"))


def test_a_protected_stack_stays(product: Product) -> None:
    product.configure(protect=True)

    refused(product, 7, "protect", arguments=("down", "local", "--yes"))


def test_a_missing_secret_is_named_with_its_line_and_nothing_is_changed(product: Product) -> None:
    product.configure(gateway={"api_keys": [{"name": "ci", "value": "${secret:CI_KEY}"}]})

    refused(product, 2, "CI_KEY", "stacks/local.yaml:")


def test_a_secret_value_is_never_in_state_log_argv_or_output(product: Product) -> None:
    canary = "canary-0123456789-abcdefghijklmnop"
    product.configure(
        gateway={"api_keys": [{"name": "ci", "value": "${secret:CI_KEY}"}]},
        server={"environment": {"HF_TOKEN": "${secret:CI_KEY}"}},
        scaling={"replicas": 1},
    )

    done = product("up", "local", "--output", "ndjson", environment={"CI_KEY": canary})

    assert done.returncode == 0, done.stderr
    assert canary not in done.stdout + done.stderr
    holders = {
        path: path.stat().st_mode & 0o077
        for path in product.home.rglob("*")
        if path.is_file() and canary.encode() in path.read_bytes()
    }
    assert set(holders.values()) <= {0}
    assert not [path for path in holders if product.root not in path.parents], holders
    assert not [path for path in holders if product.root / "logs" in path.parents], holders
    assert not any(canary in " ".join(process.cmdline()) for process in product.processes())


@pytest.mark.root
def test_a_full_disk_is_named_and_nothing_half_written_stays(product: Product, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small)], check=True)
    product.environment["LLMCTL_HOME"] = str(small)
    try:
        done = product("up", "local", "--output", "json")
        left = [path for path in small.rglob("*") if path.is_file() and path.suffix in {".sealed", ".tmp"}]
        down = product("down", "local", "--all", "--yes")
    finally:
        product.kill_everything()
        subprocess.run(["umount", "-l", str(small)], check=True)

    error = json.loads(done.stdout)
    assert done.returncode in (3, 4), done.stdout
    assert "the disk is full" in error["why"], error
    assert str(small) in error["what"], error
    assert left == []
    assert "Traceback" not in down.stderr
