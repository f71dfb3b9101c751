from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import things

from llmctl_infra.errors import ResourceError
from llmctl_infra.provider.handler import PartialError
from llmctl_stacks.engine import state
from llmctl_stacks.engine.operations import Engine
from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.errors import DeployError, LlmctlError, LockedError, PreflightError

if TYPE_CHECKING:
    from conftest import Rig

pytestmark = pytest.mark.engine

CANARY = "canary-5d1e77"


def _wanted(**first: Any) -> dict[str, dict[str, Any]]:
    return {"first": {"kind": "x", "size": 1, **first}, "second": {"size": 2, "after": "first"}}


def _operations(report: Any) -> dict[str, str]:
    return {change.name: change.operation for change in report.changes}


def test_a_stack_lives_from_preview_to_destroy(rig: Rig) -> None:
    preview = rig.run("preview", _wanted())
    assert _operations(preview) == {"first": "create", "second": "create"}
    assert rig.things.log() == []

    up = rig.run("up", _wanted())
    assert up.result == "succeeded"
    assert up.outputs["addresses"] == {"first": "first.local", "second": "second.local"}
    assert rig.things.log() == ["create:first", "create:second"]

    again = rig.run("up", _wanted(), refresh=True)
    assert _operations(again) == {"first": "same", "second": "same"}

    update = rig.run("up", _wanted(size=5))
    assert [(c.name, c.operation, c.keys) for c in update.changes] == [
        ("first", "update", ("size",)),
        ("second", "same", ()),
    ]

    replace = rig.run("up", _wanted(size=5, kind="y"))
    assert _operations(replace) == {"first": "replace", "second": "same"}
    assert rig.things.log()[2:] == ["update:first", "delete:first", "create:first"]

    gone = rig.run("destroy", {})
    assert _operations(gone) == {"first": "delete", "second": "delete"}
    assert rig.things.store() == {}
    assert rig.recorded() == {}
    assert rig.pulumi_locks() == []


def test_drift_is_found_reported_and_set_right(rig: Rig) -> None:
    rig.run("up", _wanted())
    rig.things.file("first").write_text(json.dumps({**rig.things.store()["first"], "size": 77}))
    rig.things.file("second").unlink()
    before = state.checkpoint_path(rig.home, rig.spec).read_bytes()

    drift = rig.run("drift", {})

    found = {(item.name, item.kind, item.keys) for item in drift.drift}
    assert found == {("first", "changed", ("size",)), ("second", "missing", ())}
    assert state.checkpoint_path(rig.home, rig.spec).read_bytes() == before

    repaired = rig.run("up", _wanted(), refresh=True)
    assert _operations(repaired) == {"first": "update", "second": "create"}
    assert {name: thing["size"] for name, thing in rig.things.store().items()} == {"first": 1, "second": 2}
    assert rig.run("drift", {}).drift == ()


def test_refresh_takes_what_is_there_into_the_state(rig: Rig) -> None:
    rig.run("up", _wanted())
    rig.things.file("second").unlink()

    report = rig.run("refresh", {})

    assert [(item.name, item.kind) for item in report.drift] == [("second", "missing")]
    assert list(rig.recorded()) == ["first"]


def test_events_tell_each_step_from_its_beginning_to_its_end(rig: Rig) -> None:
    rig.run("up", _wanted())

    steps = [(event.name, event.state) for event in rig.events if event.kind == "resource"]
    assert [step for step in steps if step[0] != "group"] == [
        ("first", "running"),
        ("first", "done"),
        ("second", "running"),
        ("second", "done"),
    ]
    assert steps[0] == ("group", "running")
    summary = rig.events[-1]
    assert (summary.kind, summary.state, dict(summary.counts)) == ("summary", "done", {"create": 4})


def test_what_failed_is_named_with_cause_and_cure_and_the_rest_stands(rig: Rig) -> None:
    rig.things.plan.fail["create", "second"] = ResourceError(
        "port 80 is taken", "by nginx", "stop nginx", ("log",)
    )

    with pytest.raises(DeployError) as caught:
        rig.run("up", _wanted())

    assert (caught.value.what, caught.value.why, caught.value.fix) == (
        "second: port 80 is taken",
        "by nginx",
        "stop nginx",
    )
    assert caught.value.details["failures"][0]["evidence"] == ("log",)
    assert list(rig.recorded()) == ["first"]

    rig.things.plan.fail.clear()
    resumed = rig.run("up", _wanted())
    assert _operations(resumed) == {"first": "same", "second": "create"}


def test_what_exists_but_does_not_work_is_recorded_and_tried_again(rig: Rig) -> None:
    cause = ResourceError("not ready after 5 s")
    rig.things.plan.fail["create", "first"] = PartialError(cause, "first", {"address": "first.local"})
    wanted = {"first": {"size": 1}}

    with pytest.raises(DeployError, match="not ready after 5 s"):
        rig.run("up", wanted)
    assert rig.recorded()["first"].id == "first"

    rig.things.plan.fail.clear()
    assert _operations(rig.run("up", wanted)) == {"first": "update"}
    assert rig.things.log() == ["create:first", "update:first"]


def test_an_input_that_is_refused_is_named_and_nothing_is_done(rig: Rig) -> None:
    with pytest.raises(DeployError, match=r"size.*must not be negative: -1"):
        rig.run("up", _wanted(size=-1))

    assert rig.things.log() == []
    assert rig.recorded() == {}


def test_an_error_of_the_program_comes_back_as_it_was_raised(rig: Rig) -> None:
    def program() -> None:
        raise DeployError("the bundle is damaged", fix="train again")

    with pytest.raises(DeployError, match="the bundle is damaged"):
        rig.engine.run("up", rig.spec, program, rig.providers)


def test_a_defect_of_the_program_names_itself_and_keeps_its_trace(rig: Rig) -> None:
    def program() -> None:
        raise ValueError("odd number of gears")

    with pytest.raises(LlmctlError, match="ValueError: odd number of gears") as caught:
        rig.engine.run("preview", rig.spec, program, rig.providers)
    assert "def program" not in caught.value.details["traceback"]
    assert "in program" in caught.value.details["traceback"]


def test_a_receiver_that_raises_does_not_stop_the_update(rig: Rig) -> None:
    def receive(event: object) -> None:
        raise BrokenPipeError("nobody reads")

    with pytest.raises(BrokenPipeError):
        rig.engine.run("up", rig.spec, lambda: None, rig.providers, receive)
    assert rig.pulumi_locks() == []


def test_a_secret_never_leaves_the_provider_in_clear(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []

    def look(event: object) -> None:
        commands.extend(path.read_text("utf-8", "replace") for path in Path("/proc").glob("[0-9]*/cmdline"))

    rig.things.plan.fail["create", "second"] = ResourceError(f"cannot use {CANARY}", f"{CANARY} is odd")
    with pytest.raises(DeployError) as caught:
        rig.engine.run(
            "up",
            rig.spec,
            lambda: things.chain(_wanted(password=CANARY)),
            rig.providers,
            lambda event: (rig.events.append(event), look(event))[0],
            failures=rig.host.failures,
        )
    rig.things.plan.fail.clear()
    report = rig.run("up", _wanted(password=CANARY))
    rig.run("preview", _wanted(password=CANARY + "2"))

    written = {path for path in tmp_path.rglob("*") if path.is_file() and rig.things.folder not in path.parents}
    assert len(written) > 5
    for secret in (CANARY, "token-of-first", rig.home.passphrase()):
        found = [path for path in written if secret.encode() in path.read_bytes()]
        assert found == ([rig.home.root / "passphrase"] if secret == rig.home.passphrase() else [])
        assert secret not in "\n".join(commands)
        assert secret not in str(rig.events) + str(report) + str(caught.value) + str(caught.value.details)
    assert rig.things.store()["first"]["password"] == CANARY
    assert rig.recorded()["first"].inputs["password"] == state.SECRET
    assert {path.stat().st_mode & 0o077 for path in written if rig.home.root in path.parents} == {0}


def test_another_passphrase_is_recognised(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.run("up", _wanted(password=CANARY))
    monkeypatch.setenv("LLMCTL_PASSPHRASE", "another")

    with pytest.raises(PreflightError, match="another passphrase"):
        rig.run("up", _wanted(password=CANARY))


def test_the_lost_stack_file_does_not_cost_the_secrets(rig: Rig) -> None:
    rig.run("up", _wanted(password=CANARY))
    (rig.home.work(rig.spec.pulumi_project, rig.spec.stack) / "Pulumi.local.yaml").unlink()

    assert _operations(rig.run("up", _wanted(password=CANARY))) == {"first": "same", "second": "same"}


def test_a_lock_of_the_engine_that_somebody_else_holds_is_respected(rig: Rig) -> None:
    rig.run("up", _wanted())
    folder = rig.home.state / ".pulumi" / "locks" / "organization" / "demo-base" / "local"
    folder.mkdir(parents=True, exist_ok=True)
    lock = {"pid": 7, "username": "eve", "hostname": "far", "timestamp": "2026-01-01T00:00:00Z"}
    (folder / "0.json").write_text(json.dumps(lock))

    with pytest.raises(LockedError, match="eve@far pid 7"):
        rig.run("up", _wanted(size=3))


def test_an_http_proxy_does_not_come_between_program_and_engine(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert rig.run("up", _wanted()).result == "succeeded"


def test_stacks_of_one_home_do_not_disturb_each_other(rig: Rig) -> None:
    specs = [StackSpec("demo", "base", stack) for stack in ("local", "dev", "prod")]

    def up(spec: StackSpec) -> dict[str, str]:
        wanted = {f"{spec.stack}-{number}": {"size": number} for number in range(3)}
        engine = Engine(rig.home, rig.engine.cli)
        return _operations(engine.run("up", spec, lambda: things.chain(wanted), rig.providers, parallel=2))

    with ThreadPoolExecutor(3) as pool:
        for spec, operations in zip(specs, pool.map(up, specs), strict=True):
            assert operations == {f"{spec.stack}-{number}": "create" for number in range(3)}
            assert len(state.read(rig.home, spec).resources) == 4
    assert len(rig.things.store()) == 9


def test_history_does_not_grow_for_ever(rig: Rig) -> None:
    folder = rig.home.state / ".pulumi" / "history" / "demo-base" / "local"
    folder.mkdir(parents=True)
    for number in range(40):
        for part in ("history", "checkpoint"):
            (folder / f"local-{number:019d}.{part}.json").write_text("{}")

    rig.run("up", _wanted())

    assert len(list(folder.glob("*.history.json"))) == len(list(folder.glob("*.checkpoint.json"))) == 20
