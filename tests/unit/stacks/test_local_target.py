"""The local target: what its configuration becomes, and what changes mean for requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmctl_server.settings import Settings
from llmctl_stacks.config import find_project, load, resolve, scaffold
from llmctl_stacks.errors import PreflightError, UsageError
from llmctl_stacks.home import Home
from llmctl_stacks.lifecycle.context import Context, default_stack
from llmctl_stacks.lifecycle.scaffold import init
from llmctl_stacks.results import ResourceChange
from llmctl_stacks.targets import open_target
from llmctl_stacks.targets.local.plan import server_settings, usable_processors


@pytest.fixture
def context(tmp_path: Path) -> Context:
    for name, text in scaffold("shop").items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Context(Home(tmp_path / "home"), load(find_project(tmp_path / "shop"), "local"))


def test_the_settings_of_a_server_are_accepted_by_the_server(context: Context) -> None:
    written = server_settings(resolve(context.loaded).config)

    settings = Settings.from_environment({**written, "LLMCTL_MODEL": "/somewhere"})

    assert settings.threads == max(1, usable_processors() // 2)
    assert settings.max_body_bytes == 1 << 20
    assert settings.max_tokens == 1000


def test_a_rolling_update_of_the_servers_is_a_risk_that_is_told(context: Context) -> None:
    target = open_target(context)
    changed = ResourceChange("serve", "llmctl:local:Servers", "servers", "update")
    same = ResourceChange("serve", "llmctl:local:Gateway", "gateway", "same")

    (risk,) = target.risks((changed, same))

    assert risk.resource == "servers"
    assert "no request is refused" in risk.message


def test_a_bundle_that_is_not_there_is_refused_before_anything_is_changed(context: Context) -> None:
    (context.loaded.project.stack_file("local")).write_text(
        "target: local\nmodels: [{name: attention, source: file://../nowhere}]\n"
    )
    again = Context(context.home, load(context.loaded.project, "local"))

    with pytest.raises(PreflightError, match="nowhere"):
        open_target(again).preflight()

    assert not again.folder.exists()


def test_a_stack_that_was_never_up_has_no_endpoint_no_processes_and_nothing_left(context: Context) -> None:
    target = open_target(context)

    assert target.endpoint(context.recorded()) is None
    assert target.replicas() == ()
    assert target.leftovers({}, all_layers=True) == ()


@pytest.mark.parametrize(
    ("names", "chosen"),
    [(("local", "prod"), "local"), (("prod",), "prod"), ((), "local"), (("dev", "local"), "local")],
)
def test_without_a_name_the_only_stack_is_meant_else_local(names: tuple[str, ...], chosen: str) -> None:
    assert default_stack(names) == chosen


def test_several_stacks_without_a_local_one_must_be_named() -> None:
    with pytest.raises(UsageError, match="dev, prod"):
        default_stack(("dev", "prod"))


@pytest.mark.parametrize("folder", ["My Shop", "shop", "2nd-shop"])
def test_init_makes_a_project_name_of_the_folder(tmp_path: Path, folder: str) -> None:
    files = init(tmp_path / folder)

    project = find_project(tmp_path / folder)
    assert all(path.exists() for path in files)
    assert load(project, "local").config.name in {"my-shop", "shop", "nd-shop"}


def test_init_in_a_folder_without_letters_asks_for_a_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        init(tmp_path / "123")

    assert raised.value.fix == "give one with --name"
