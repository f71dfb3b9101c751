"""The HTTP filters of the gateway that change while it runs; each is a file of its own (ECDS).

Order of the chain: who is it (`auth`), may they ask again (`rate_limit`), is the body small enough
(`body_limit`), wait for the whole body (`buffer`), route.
"""

from __future__ import annotations

import math

from llmctl_infra.gateway.spec import ANONYMOUS, ANY_CLIENT, GatewaySpec, RateLimit
from llmctl_infra.gateway.xds import Document, any_of, discovery, duration, watched

CLIENT_HEADER = "x-llmctl-client"

AUTH = "auth"
RATE_LIMIT = "rate_limit"
BODY_LIMIT = "body_limit"
BUFFER = "buffer"

_API_KEY_AUTH = "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth"
_HEADER_MUTATION = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
_LOCAL_RATE_LIMIT = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_BODY_SIZE_LIMIT = "envoy.extensions.filters.http.body_size_limit.v3.BodySizeLimit"
_BUFFER = "envoy.extensions.filters.http.buffer.v3.Buffer"
_TYPES = {
    AUTH: (_API_KEY_AUTH, _HEADER_MUTATION),
    RATE_LIMIT: (_LOCAL_RATE_LIMIT,),
    BODY_LIMIT: (_BODY_SIZE_LIMIT,),
    BUFFER: (_BUFFER,),
}
_NO_LIMIT = {"max_tokens": 1 << 30, "tokens_per_fill": 1 << 30, "fill_interval": duration(1)}
_ALWAYS = {"numerator": 100, "denominator": "HUNDRED"}
_MOST_CLIENTS = 10_000  # buckets kept for clients under the `*` limit; the least recently used one goes


def filter_file(name: str) -> str:
    """File that holds the filter `name`."""
    return f"filter-{name.replace('_', '-')}.json"


def filter_references(folder: str) -> list[Document]:
    """The filters as the connection manager names them, in the order of the chain, without the router."""
    return [
        {
            "name": name,
            "config_discovery": {
                "config_source": watched(f"{folder}/{filter_file(name)}"),
                "type_urls": [f"type.googleapis.com/{kind}" for kind in kinds],
            },
        }
        for name, kinds in _TYPES.items()
    ]


def filter_documents(spec: GatewaySpec) -> dict[str, Document]:
    """ECDS: file name and content of each filter."""
    configs = {
        AUTH: _auth(spec) if spec.auth else _anonymous(),
        RATE_LIMIT: _rate_limit(spec.rate_limits),
        BODY_LIMIT: any_of(_BODY_SIZE_LIMIT, max_request_bytes=spec.max_body_bytes),
        # Slow clients wait here and not in a server, and a request can be tried again as a whole.
        BUFFER: any_of(_BUFFER, max_request_bytes=spec.max_body_bytes),
    }
    return {
        filter_file(name): discovery(
            any_of("envoy.config.core.v3.TypedExtensionConfig", name=name, typed_config=config)
        )
        for name, config in configs.items()
    }


def _auth(spec: GatewaySpec) -> Document:
    return any_of(
        _API_KEY_AUTH,
        credentials=[{"key": client.key, "client": client.name} for client in spec.clients],
        key_sources=[{"header": "Authorization"}, {"header": "x-api-key"}],
        # The key itself goes on to the server, which checks its hash once more.
        forwarding={"header": CLIENT_HEADER},
    )


def _anonymous() -> Document:
    header = {"key": CLIENT_HEADER, "value": ANONYMOUS}
    mutation = {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    return any_of(_HEADER_MUTATION, mutations={"request_mutations": [mutation]})


def _rate_limit(limits: tuple[RateLimit, ...]) -> Document:
    by_name = sorted(limits, key=lambda limit: (limit.client == ANY_CLIENT, limit.client))
    return any_of(
        _LOCAL_RATE_LIMIT,
        stat_prefix="gateway",
        status={"code": "TooManyRequests"},
        filter_enabled={"default_value": _ALWAYS, "runtime_key": "rate_limit.enabled"},
        filter_enforced={"default_value": _ALWAYS, "runtime_key": "rate_limit.enforced"},
        token_bucket=_NO_LIMIT,
        always_consume_default_token_bucket=False,
        max_dynamic_descriptors=_MOST_CLIENTS,
        rate_limits=[
            {"actions": [{"request_headers": {"header_name": CLIENT_HEADER, "descriptor_key": "client"}}]}
        ],
        descriptors=[_descriptor(limit) for limit in by_name],
        enable_x_ratelimit_headers="DRAFT_VERSION_03" if limits else "OFF",
        response_headers_to_add=[
            {
                "header": {"key": "retry-after", "value": str(_longest_wait(limits))},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    )


def _descriptor(limit: RateLimit) -> Document:
    entry = {"key": "client"} if limit.client == ANY_CLIENT else {"key": "client", "value": limit.client}
    fill = max(1, round(limit.rps))
    return {
        "entries": [entry],
        "token_bucket": {
            "max_tokens": max(limit.burst, fill),
            "tokens_per_fill": fill,
            "fill_interval": duration(fill / limit.rps),
        },
    }


def _longest_wait(limits: tuple[RateLimit, ...]) -> int:
    """Seconds until the slowest bucket has a token again: honest for every client."""
    return math.ceil(max((1 / limit.rps for limit in limits), default=1))
