from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, settings
from pulumi.runtime.stack import run_in_stack
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from llmctl_image.bundle import write_bundle
from llmctl_infra.local import gateway_inputs, resources, server_inputs
from llmctl_infra.local.base import DRIFT, LocalHandler
from llmctl_infra.local.provider import handlers

NOUNS = sorted(token.rsplit(":", 1)[1] for token in handlers(write_bundle))
HANDLERS = {token.rsplit(":", 1)[1]: handler for token, handler in handlers(write_bundle).items()}
# How a secret is marked on the wire (pulumi/pulumi, sdk/python/lib/pulumi/runtime/rpc.py).
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
NESTED = {
    resources.ServedModelArgs: server_inputs.ServedModel,
    resources.KnownKeyArgs: server_inputs.KnownKey,
    resources.AdmittedKeyArgs: gateway_inputs.AdmittedKey,
    resources.LimitArgs: gateway_inputs.Limit,
}


def defaults_of_args(args: Any) -> dict[str, Any]:
    found = {}
    for each in fields(args):
        made = each.default_factory() if each.default_factory is not MISSING else each.default
        found[each.name] = None if made is MISSING else made
    return found


def defaults_of_inputs(inputs: type[BaseModel]) -> dict[str, Any]:
    found = {}
    for name, each in inputs.model_fields.items():
        made = each.get_default(call_default_factory=True, validated_data={})
        found[name] = None if made is PydanticUndefined else made
    return found


Collect = Callable[[Callable[[], Any]], dict[str, mocks.MockResourceArgs]]


@pytest.fixture
def collect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collect]:
    """Runs a program; the resources that it declares, by name, as they go over the wire."""
    loops: list[asyncio.AbstractEventLoop] = []

    def new_loop() -> asyncio.AbstractEventLoop:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])
        return loops[-1]

    # The mock monitor makes a loop in each of its threads and never closes one.
    monkeypatch.setattr(mocks, "_ensure_event_loop", new_loop)

    def collected(program: Callable[[], Any]) -> dict[str, mocks.MockResourceArgs]:
        found: dict[str, mocks.MockResourceArgs] = {}

        class Recorder(mocks.Mocks):
            def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
                found[args.name] = args
                return f"{args.name}-id", {**args.inputs, "keyId": "made", "endpointsPath": "/made", "drift": []}

            def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
                return {}

        def run() -> None:
            loop = new_loop()
            mocks.set_mocks(Recorder(), project="p", stack="local")
            settings.ROOT.set(None)
            loop.run_until_complete(run_in_stack(program))
            asyncio.set_event_loop(None)

        contextvars.copy_context().run(run)
        return found

    yield collected
    for loop in loops:
        loop.close()


@pytest.mark.parametrize("noun", NOUNS)
def test_args_and_inputs_have_the_same_fields_and_defaults(noun: str) -> None:
    handler = HANDLERS[noun]
    assert isinstance(handler, LocalHandler)
    resource = getattr(resources, noun)
    assert defaults_of_args(resource.args_type) == defaults_of_inputs(handler.inputs)
    wired = {resource.translate_input_property(resource, name) for name in (*resource.outputs, DRIFT)}
    # `port` of the gateway is an input that the handler completes.
    assert wired == handler.computed - {"port"}


@pytest.mark.parametrize(("args", "inputs"), NESTED.items())
def test_nested_args_and_inputs_have_the_same_fields(args: type, inputs: type[BaseModel]) -> None:
    assert {each.name for each in fields(args)} == set(inputs.model_fields)


def test_a_program_sends_what_the_handler_takes_and_wraps_secrets(collect: Collect) -> None:
    seen: list[Any] = []

    async def program() -> None:
        key = resources.KmsKey("key", resources.KmsKeyArgs("/kms.key"))
        resources.ModelStore("store", resources.ModelStoreArgs("/store", "/kms.key", key.key_id))
        model = resources.ServedModelArgs("attention", "/object", "sha256:" + "0" * 64, "/kms.key")
        servers = resources.Servers(
            "servers",
            resources.ServersArgs(
                "/root",
                "/socket",
                2,
                model,
                api_keys=[resources.KnownKeyArgs("default", "a" * 64)],
                settings={"LLMCTL_MAX_TOKENS": "10"},
                environment={"TOKEN": "hush"},
            ),
        )
        pulumi.Output.all(servers.endpoints_path, servers.environment, key.key_id).apply(seen.append)
        seen.append(await servers.environment.is_secret())

    found = collect(program)
    assert found["store"].typ == "llmctl:local:ModelStore"
    assert found["store"].inputs == {"path": "/store", "kmsKeyPath": "/kms.key", "kmsKeyId": "made"}
    sent = found["servers"].inputs
    assert sent["model"]["objectPath"] == "/object"
    assert sent["settings"] == {"LLMCTL_MAX_TOKENS": "10"}
    assert "requestLogPath" not in sent
    assert sent["environment"] == {SIGNATURE: SECRET, "value": {"TOKEN": "hush"}}
    _, failures = HANDLERS["Servers"].check({**sent, "environment": sent["environment"]["value"]})
    assert failures == []
    assert ["/made", {"TOKEN": "hush"}, "made"] in seen
    assert True in seen


def test_secrets_are_not_in_the_text_of_args() -> None:
    args = resources.ApiKeyArgs("default", "/key", value="hush")
    assert "hush" not in repr(args)
