"""A small provider for the tests: resources are files in a folder, and calls can be made slow or fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi

from llmctl_infra.errors import ResourceError
from llmctl_infra.provider.handler import CheckFailure, Handler, PartialError, Props

TYPE = "llmctl:test:Thing"


@dataclass
class Plan:
    """Faults by (verb, resource name): seconds to take, or what to raise.

    Attributes:
        slow: seconds that a call takes after its effect is there.
        late: seconds that pass before its effect.
        fail: what a call raises, before it has any effect.
    """

    slow: dict[tuple[str, str], float] = field(default_factory=dict)
    late: dict[tuple[str, str], float] = field(default_factory=dict)
    fail: dict[tuple[str, str], ResourceError] = field(default_factory=dict)


class Things(Handler):
    """Each resource is a JSON file; every create makes a new incarnation, unless the file is there."""

    computed = frozenset({"address", "token"})
    stable = frozenset({"address"})
    replace_on = frozenset({"kind"})
    secret_outputs = frozenset({"token"})

    def __init__(self, folder: Path, plan: Plan | None = None) -> None:
        self.folder = folder
        self.plan = plan or Plan()
        self.over = threading.Event()
        folder.mkdir(exist_ok=True)

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def store(self) -> dict[str, dict[str, Any]]:
        return {path.stem: json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))}

    def log(self) -> list[str]:
        log = self.folder / "log"
        return log.read_text().split() if log.exists() else []

    def _act(self, verb: str, name: str) -> None:
        with (self.folder / "log").open("a") as log:
            log.write(f"{verb}:{name}\n")
        if error := self.plan.fail.get((verb, name)):
            raise error
        self._pause(self.plan.late.get((verb, name), 0.0))

    def _wait(self, verb: str, name: str) -> None:
        self._pause(self.plan.slow.get((verb, name), 0.0))

    def _pause(self, seconds: float) -> None:
        if seconds and self.over.wait(seconds):
            raise ResourceError("the test is over")

    def check(self, news: Props) -> tuple[Props, list[CheckFailure]]:
        small = isinstance(news.get("size"), int) and news["size"] < 0
        return news, [CheckFailure("size", f"must not be negative: {news['size']}")] if small else []

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        error = self.plan.fail.get(("create", name))
        if isinstance(error, PartialError):
            self.file(name).write_text(json.dumps(dict(inputs)))
        self._act("create", name)
        self.file(name).write_text(json.dumps(dict(inputs)))
        self._wait("create", name)
        return name, self._outputs(name)

    def read(self, resource_id: str, inputs: Props, outputs: Props) -> tuple[Props, Props] | None:
        if not self.file(resource_id).exists():
            return None
        return json.loads(self.file(resource_id).read_text()), self._outputs(resource_id)

    def update(self, resource_id: str, old_outputs: Props, news: Props) -> Props:
        self._act("update", resource_id)
        self.file(resource_id).write_text(json.dumps(dict(news)))
        self._wait("update", resource_id)
        return self._outputs(resource_id)

    def delete(self, resource_id: str, outputs: Props) -> None:
        self._act("delete", resource_id)
        self.file(resource_id).unlink(missing_ok=True)
        self._wait("delete", resource_id)

    def find(self, inputs: Props) -> tuple[str, Props] | None:
        name = inputs["name"]
        return (name, self._outputs(name)) if self.file(name).exists() else None

    def _outputs(self, name: str) -> Props:
        return {"address": f"{name}.local", "token": f"token-of-{name}"}


class Thing(pulumi.CustomResource):
    """The test resource as a program sees it."""

    address: pulumi.Output[str]
    token: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> None:
        super().__init__(TYPE, name, {"name": name, "address": None, "token": None, **inputs}, opts)


class Group(pulumi.ComponentResource):
    """A component that only groups."""

    def __init__(self, name: str) -> None:
        super().__init__("llmctl:test:Group", name)


def chain(inputs: Mapping[str, Mapping[str, Any]]) -> None:
    """A program: one thing for each entry, inside a component; `after` names the thing it depends on.

    The input `password` is a secret.
    """
    group = Group("group")
    made: dict[str, Thing] = {}
    for name, given in inputs.items():
        values = dict(given)
        if (after := values.pop("after", None)) is not None:
            values["upstream"] = made[after].address
        if "password" in values:
            values["password"] = pulumi.Output.secret(values["password"])
        made[name] = Thing(name, pulumi.ResourceOptions(parent=group), **values)
    pulumi.export("addresses", {name: thing.address for name, thing in made.items()})
    for name, thing in made.items():
        pulumi.export(f"{name}-token", thing.token)
