from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmctl_infra.gateway import envoy
from llmctl_infra.gateway.clusters import endpoints_document
from llmctl_infra.gateway.listener import ACCESS_LOG_FIELDS
from llmctl_infra.gateway.replies import REPLIES
from llmctl_infra.gateway.spec import Backend, Client, GatewaySpec, RateLimit
from llmctl_infra.gateway.spec import Path as ApiPath
from llmctl_infra.gateway.xds import duration, text

GOLDEN = Path(__file__).parent / "golden" / "gateway.json"
SPEC = GatewaySpec(
    host="127.0.0.1",
    port=8080,
    folder="/stack/gateway/envoy",
    admin_socket="/run/gateway-1.sock",
    backends=(Backend("servers", "/stack/servers/endpoints/endpoints.json"),),
    clients=(Client("default", "llmctl_example"),),
    rate_limits=(RateLimit("*", 10, 20), RateLimit("default", 0.5, 1)),
)


def resources(name: str, spec: GatewaySpec = SPEC) -> list[dict[str, Any]]:
    return list(envoy.documents(spec)[name]["resources"])


def changed(spec: GatewaySpec) -> set[str]:
    """Names of the files that differ from those of `SPEC`."""
    before, after = envoy.documents(SPEC), envoy.documents(spec)
    return {name for name in before if before[name] != after[name]}


def test_the_whole_configuration_is_as_reviewed(request: pytest.FixtureRequest) -> None:
    """After a change on purpose: write the new text with `text(envoy.documents(SPEC))` and read the difference."""
    assert json.loads(GOLDEN.read_text()) == envoy.documents(SPEC)


def test_only_the_file_that_must_change_changes_and_never_the_listener() -> None:
    assert changed(replace(SPEC, clients=())) == {"filter-auth.json"}
    assert changed(replace(SPEC, auth=False)) == {"filter-auth.json"}
    assert changed(replace(SPEC, rate_limits=())) == {"filter-rate-limit.json"}
    assert changed(replace(SPEC, timeout_seconds=5.0)) == {"routes.json"}
    assert changed(replace(SPEC, retry_attempts=0)) == {"routes.json"}
    limits = {"routes.json", "filter-body-limit.json", "filter-buffer.json"}
    assert changed(replace(SPEC, max_body_bytes=10)) == limits
    assert changed(replace(SPEC, port=8081)) == {"listeners.json"}
    assert changed(replace(SPEC, max_connections=10)) == {"bootstrap.json"}


def test_a_change_of_weights_is_a_change_of_routes_alone() -> None:
    canary = Backend("canary", "/stack/canary/endpoints.json", 5)
    some = replace(SPEC, backends=(replace(SPEC.backends[0], weight=95), canary))
    more = replace(SPEC, backends=(replace(SPEC.backends[0], weight=50), replace(canary, weight=50)))
    before, after = envoy.documents(some), envoy.documents(more)
    assert {name for name in before if before[name] != after[name]} == {"routes.json"}
    action = resources("routes.json", some)[0]["virtual_hosts"][0]["routes"][0]["route"]
    assert action["weighted_clusters"]["clusters"] == [
        {"name": "servers", "weight": 95},
        {"name": "canary", "weight": 5},
    ]


def test_every_version_names_its_content() -> None:
    versions = {name: document.get("version_info") for name, document in envoy.documents(SPEC).items()}
    assert {name for name, version in versions.items() if version is None} == {"bootstrap.json"}
    assert set(envoy.version_statistics()) == set(versions) - {"bootstrap.json"}
    other = envoy.documents(replace(SPEC, timeout_seconds=5.0))["routes.json"]["version_info"]
    assert other != versions["routes.json"]


def test_keys_are_in_one_file_only_and_not_in_the_spec_when_it_is_printed() -> None:
    holding = {name for name, document in envoy.documents(SPEC).items() if "llmctl_example" in text(document)}
    assert holding == {"filter-auth.json"}
    assert "llmctl_example" not in repr(SPEC)


def test_without_auth_everybody_is_one_anonymous_client_with_limits() -> None:
    config = resources("filter-auth.json", replace(SPEC, auth=False))[0]["typed_config"]
    header = config["mutations"]["request_mutations"][0]["append"]["header"]
    assert header == {"key": "x-llmctl-client", "value": "anonymous"}


def test_named_limits_come_before_the_one_for_all_others() -> None:
    limits = resources("filter-rate-limit.json")[0]["typed_config"]["descriptors"]
    assert [each["entries"][0].get("value") for each in limits] == ["default", None]


@given(rps=st.floats(0.01, 10_000), burst=st.integers(1, 10_000))
def test_a_bucket_fills_at_the_rate_that_was_asked_for(rps: float, burst: int) -> None:
    spec = replace(SPEC, rate_limits=(RateLimit("*", rps, burst),))
    bucket = resources("filter-rate-limit.json", spec)[0]["typed_config"]["descriptors"][0]["token_bucket"]
    seconds = float(bucket["fill_interval"].removesuffix("s"))
    assert bucket["tokens_per_fill"] / seconds == pytest.approx(rps, rel=0.01)
    assert bucket["max_tokens"] >= burst
    assert seconds >= 0.05  # Envoy's least interval


def test_only_what_is_listed_is_routed_and_the_rest_is_404_without_a_key() -> None:
    spec = replace(SPEC, paths=(ApiPath("/v1/"), ApiPath("/readyz", public=True)))
    routes = resources("routes.json", spec)[0]["virtual_hosts"][0]["routes"]
    assert [route["match"] for route in routes] == [{"prefix": "/v1/"}, {"path": "/readyz"}, {"prefix": "/"}]
    assert ["auth" in route.get("typed_per_filter_config", {}) for route in routes] == [False, True, True]
    assert routes[-1]["direct_response"] == {"status": 404}


def test_endpoints_are_sorted_so_that_the_same_servers_give_the_same_file() -> None:
    addresses = [("127.0.0.1", 2), ("127.0.0.1", 1)]
    assert endpoints_document("servers", addresses) == endpoints_document("servers", reversed(addresses))
    found = endpoints_document("servers", addresses)["resources"][0]["endpoints"][0]["lb_endpoints"]
    ports = [each["endpoint"]["address"]["socket_address"]["port_value"] for each in found]
    assert ports == [1, 2]
    assert endpoints_document("servers", [])["resources"][0]["cluster_name"] == "servers"


def test_every_answer_of_the_gateway_is_an_error_object_of_the_server() -> None:
    from llmctl_server.errors import ApiError

    for reply in REPLIES:
        assert ApiError(reply.status, reply.code, reply.message).type == reply.type


def test_the_access_log_holds_no_header_that_can_hold_a_key_and_no_query() -> None:
    values = " ".join(ACCESS_LOG_FIELDS.values()).lower()
    assert "authorization" not in values
    assert "x-api-key" not in values
    assert "req(:path)" not in values


@given(st.floats(0.000001, 100_000))
def test_a_duration_is_what_protobuf_reads(seconds: float) -> None:
    written = duration(seconds)
    assert float(written.removesuffix("s")) == pytest.approx(seconds, abs=1e-6)
    assert "e" not in written
