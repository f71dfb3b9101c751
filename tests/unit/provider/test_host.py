from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from llmctl_infra.errors import ResourceError
from llmctl_infra.provider.codec import UNKNOWN, decode, encode
from llmctl_infra.provider.handler import CheckFailure, Handler, PartialError, Props
from llmctl_infra.provider.host import ProviderHost

URN = "urn:pulumi:dev::demo::llmctl:test:Base$llmctl:test:Thing::first"
CANARY = "canary-1f8a"


class Thing(Handler):
    """A resource kept in a dict, with faults on demand."""

    computed = frozenset({"address", "token", "serial"})
    stable = frozenset({"serial"})
    replace_on = frozenset({"kind"})
    secret_outputs = frozenset({"token"})

    def __init__(self) -> None:
        self.store: dict[str, dict[str, Any]] = {}
        self.fault: Callable[[], None] = lambda: None

    def check(self, news: Props) -> tuple[Props, list[CheckFailure]]:
        if news.get("size") == 0:
            return news, [CheckFailure("size", f"must be positive, not {news['size']}")]
        return {"kind": "small", **news}, []

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        self.fault()
        self.store[name] = dict(inputs)
        return f"id-{name}", {"address": f"{name}.local", "token": "t0ken", "serial": 1}

    def read(self, resource_id: str, inputs: Props, outputs: Props) -> tuple[Props, Props] | None:
        stored = self.store.get(resource_id.removeprefix("id-"))
        return None if stored is None else (stored, {"address": "read.local", "token": "t0ken", "serial": 1})

    def update(self, resource_id: str, old_outputs: Props, news: Props) -> Props:
        self.fault()
        self.store[resource_id.removeprefix("id-")] = dict(news)
        return {"address": "updated.local", "token": "t0ken", "serial": old_outputs["serial"]}

    def delete(self, resource_id: str, outputs: Props) -> None:
        self.fault()
        self.store.pop(resource_id.removeprefix("id-"), None)

    def find(self, inputs: Props) -> tuple[str, Props] | None:
        return None


@pytest.fixture
def thing() -> Thing:
    return Thing()


@pytest.fixture
def cancelled() -> threading.Event:
    return threading.Event()


@pytest.fixture
def host(thing: Thing, cancelled: threading.Event) -> Iterator[ProviderHost]:
    with ProviderHost({"llmctl:test:Thing": thing}, version="2.3.4", cancelled=cancelled) as opened:
        yield opened


@pytest.fixture
def engine(host: ProviderHost) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    with grpc.insecure_channel(f"127.0.0.1:{host.port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)


Engine = provider_pb2_grpc.ResourceProviderStub


def _refusal(call: Callable[[], object]) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def test_the_engine_can_attach_and_configure(engine: Engine) -> None:
    assert engine.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1")) == empty_pb2.Empty()
    assert engine.GetPluginInfo(empty_pb2.Empty()).version == "2.3.4"
    assert engine.CheckConfig(provider_pb2.CheckRequest(news=encode({"a": 1}))).inputs == encode({"a": 1})
    configured = engine.Configure(provider_pb2.ConfigureRequest())
    assert (configured.acceptSecrets, configured.supportsPreview) == (True, True)
    none = provider_pb2.DiffResponse.DIFF_NONE
    assert engine.DiffConfig(provider_pb2.DiffRequest()).changes == none


def test_check_completes_inputs_and_keeps_secrets_marked(engine: Engine) -> None:
    news = encode({"size": UNKNOWN, "password": CANARY}, secrets=["password"])

    checked = decode(engine.Check(provider_pb2.CheckRequest(urn=URN, news=news)).inputs)

    assert checked.values == {"kind": "small", "size": UNKNOWN, "password": CANARY}
    assert checked.secrets == {"password"}


def test_check_names_the_input_that_is_wrong(engine: Engine) -> None:
    answer = engine.Check(provider_pb2.CheckRequest(urn=URN, news=encode({"size": 0})))

    assert [(f.property, f.reason) for f in answer.failures] == [("size", "must be positive, not 0")]


def test_create_answers_inputs_and_computed_outputs(engine: Engine, thing: Thing) -> None:
    news = encode({"size": 1, "password": CANARY}, secrets=["password"])

    made = engine.Create(provider_pb2.CreateRequest(urn=URN, properties=news))

    assert made.id == "id-first"
    outputs = decode(made.properties)
    assert outputs.values == {
        "size": 1,
        "password": CANARY,
        "address": "first.local",
        "token": "t0ken",
        "serial": 1,
    }
    assert outputs.secrets == {"password", "token"}
    assert thing.store == {"first": {"size": 1, "password": CANARY}}


def test_a_previewed_create_touches_nothing_and_leaves_computed_outputs_unknown(
    engine: Engine, thing: Thing
) -> None:
    news = encode({"size": UNKNOWN})

    planned = engine.Create(provider_pb2.CreateRequest(urn=URN, properties=news, preview=True))

    assert planned.id == ""
    assert decode(planned.properties).values == dict.fromkeys(("size", "address", "token", "serial"), UNKNOWN)
    assert thing.store == {}


def test_a_previewed_update_keeps_the_stable_outputs(engine: Engine, thing: Thing) -> None:
    request = provider_pb2.UpdateRequest(
        urn=URN, id="id-first", olds=encode({"serial": 7}), news=encode({"size": 2}), preview=True
    )

    planned = decode(engine.Update(request).properties)

    assert planned.values == {"size": 2, "address": UNKNOWN, "token": UNKNOWN, "serial": 7}
    assert thing.store == {}


@pytest.mark.parametrize(
    ("old", "new", "paths", "replaces"),
    [
        ({"size": 1}, {"size": 1}, [], []),
        ({"size": 1}, {"size": 2}, ["size"], []),
        ({"size": 1}, {"size": UNKNOWN}, ["size"], []),
        ({"kind": "a", "size": 1}, {"kind": "b", "size": 2}, ["kind", "size"], ["kind"]),
        ({"m": {"x": 1}}, {"m": {"x": 2}}, ["m.x"], []),
    ],
)
def test_diff_says_what_changes_and_what_replaces(
    engine: Engine, old: Props, new: Props, paths: list[str], replaces: list[str]
) -> None:
    answer = engine.Diff(provider_pb2.DiffRequest(urn=URN, old_inputs=encode(old), news=encode(new)))

    assert sorted(answer.detailedDiff) == paths
    assert list(answer.replaces) == replaces
    assert answer.deleteBeforeReplace is bool(replaces)
    assert (answer.changes == provider_pb2.DiffResponse.DIFF_SOME) is bool(paths)


def test_a_value_that_becomes_secret_is_a_change(engine: Engine) -> None:
    answer = engine.Diff(
        provider_pb2.DiffRequest(
            urn=URN, old_inputs=encode({"password": "x"}), news=encode({"password": "x"}, ["password"])
        )
    )

    assert list(answer.diffs) == ["password"]
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME


def test_read_answers_what_is_there_and_nothing_for_what_is_gone(engine: Engine, thing: Thing) -> None:
    thing.store["first"] = {"size": 9, "password": "new"}
    recorded = encode({"size": 1, "password": CANARY}, ["password"])

    found = engine.Read(provider_pb2.ReadRequest(urn=URN, id="id-first", inputs=recorded))
    gone = engine.Read(provider_pb2.ReadRequest(urn=URN, id="id-other", inputs=recorded))

    assert decode(found.inputs).values == {"size": 9, "password": "new"}
    assert decode(found.inputs).secrets == {"password"}
    assert decode(found.properties).values["address"] == "read.local"
    assert gone.id == ""


def test_update_and_delete_reach_the_handler(engine: Engine, thing: Thing) -> None:
    request = provider_pb2.UpdateRequest(
        urn=URN, id="id-first", olds=encode({"serial": 3}), news=encode({"size": 2})
    )

    updated = engine.Update(request)

    assert decode(updated.properties).values["serial"] == 3
    assert thing.store == {"first": {"size": 2}}
    engine.Delete(provider_pb2.DeleteRequest(urn=URN, id="id-first"))
    assert thing.store == {}


def test_an_error_is_one_line_without_secrets_and_is_kept_for_the_report(
    engine: Engine, thing: Thing, host: ProviderHost
) -> None:
    def fail() -> None:
        raise ResourceError("port taken", f"by {CANARY}\nof root", "free it", (f"log {CANARY}",))

    thing.fault = fail
    news = encode({"password": CANARY}, ["password"])

    refusal = _refusal(lambda: engine.Create(provider_pb2.CreateRequest(urn=URN, properties=news)))

    assert refusal.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.details() == "port taken: by [secret] of root"
    kept = host.failures[URN]
    assert (kept.why, kept.fix, kept.evidence) == ("by [secret]\nof root", "free it", ("log [secret]",))
    assert CANARY not in str(host.journal)


def test_a_defect_of_a_handler_is_reported_as_internal(engine: Engine, thing: Thing) -> None:
    def fail() -> None:
        raise KeyError(CANARY)

    thing.fault = fail
    news = encode({"password": CANARY}, ["password"])

    refusal = _refusal(lambda: engine.Create(provider_pb2.CreateRequest(urn=URN, properties=news)))

    assert refusal.code() is grpc.StatusCode.INTERNAL
    assert refusal.details() == "Create failed: KeyError: '[secret]'"


@pytest.mark.parametrize("verb", ["Create", "Update"])
def test_what_exists_but_does_not_work_is_handed_over_with_its_id(engine: Engine, thing: Thing, verb: str) -> None:
    def fail() -> None:
        raise PartialError(ResourceError("not ready"), "id-first", {"address": "half.local", "token": "t0ken"})

    thing.fault = fail
    news = encode({"password": CANARY}, ["password"])
    calls = {
        "Create": lambda: engine.Create(provider_pb2.CreateRequest(urn=URN, properties=news)),
        "Update": lambda: engine.Update(provider_pb2.UpdateRequest(urn=URN, news=news)),
    }

    refusal = _refusal(calls[verb])

    assert isinstance(refusal, grpc.Call)
    trailers = {entry[0]: entry[1] for entry in refusal.trailing_metadata()}
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert (detail.id, list(detail.reasons)) == ("id-first", ["not ready"])
    assert decode(detail.properties).values["address"] == "half.local"
    assert decode(detail.properties).secrets == {"password", "token"}


def test_success_clears_an_earlier_failure(engine: Engine, thing: Thing, host: ProviderHost) -> None:
    def fail() -> None:
        raise ResourceError("not yet")

    request = provider_pb2.CreateRequest(urn=URN, properties=encode({}))
    thing.fault = fail
    _refusal(lambda: engine.Create(request))
    thing.fault = lambda: None

    engine.Create(request)

    assert host.failures == {}


def test_an_unknown_type_is_refused_by_name(engine: Engine) -> None:
    urn = "urn:pulumi:dev::demo::llmctl:test:Other::x"

    refusal = _refusal(lambda: engine.Check(provider_pb2.CheckRequest(urn=urn)))

    assert "llmctl:test:Other" in str(refusal.details())


def test_cancel_reaches_handlers_that_asked_and_the_next_operation_starts_clean(
    engine: Engine, cancelled: threading.Event
) -> None:
    engine.Cancel(empty_pb2.Empty())
    assert cancelled.is_set()

    engine.Attach(plugin_pb2.PluginAttach())
    assert not cancelled.is_set()


def test_the_journal_keeps_order_names_and_outcome(engine: Engine, host: ProviderHost) -> None:
    engine.Check(provider_pb2.CheckRequest(urn=URN, news=encode({})))
    engine.Create(provider_pb2.CreateRequest(urn=URN, properties=encode({}), preview=True))
    engine.Create(provider_pb2.CreateRequest(urn=URN, properties=encode({})))

    assert [(call.method, call.name) for call in host.journal] == [
        ("Check", "first"),
        ("Preview", "first"),
        ("Create", "first"),
    ]
    assert all(call.seconds >= 0 and not call.failed for call in host.journal)


def test_calls_run_side_by_side(engine: Engine, thing: Thing) -> None:
    meeting = threading.Barrier(4, timeout=10)
    thing.fault = lambda: [meeting.wait(), None][1]
    urns = [f"urn:pulumi:dev::demo::llmctl:test:Thing::n{index}" for index in range(4)]

    calls = [engine.Create.future(provider_pb2.CreateRequest(urn=urn, properties=encode({}))) for urn in urns]

    assert sorted(call.result(timeout=10).id for call in calls) == ["id-n0", "id-n1", "id-n2", "id-n3"]


def test_the_host_listens_only_inside_its_block(thing: Thing) -> None:
    host = ProviderHost({"llmctl:test:Thing": thing})
    with host:
        port = host.port
        assert port > 0
    assert host.port == 0
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        assert (
            _refusal(lambda: stub.GetPluginInfo(empty_pb2.Empty(), timeout=5)).code()
            is grpc.StatusCode.UNAVAILABLE
        )
