"""How clients reach the models: address, API keys, limits."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import WithJsonSchema

from llmctl_stacks.config.model.base import Section, entry
from llmctl_stacks.config.model.values import AutoOr, DurationRange, Name, SizeRange, Text
from llmctl_stacks.config.quantities import Duration, Size

Host = Annotated[str, Text("an IP address or a host name", r"[A-Za-z0-9:]([A-Za-z0-9.:-]{0,252}[A-Za-z0-9:])?")]
LimitKey = Annotated[str, Text('the name of an API key, or "*"', r"\*|[a-z]([a-z0-9-]{0,38}[a-z0-9])?")]
SecretName = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\$\{secret:[A-Za-z_][A-Za-z0-9_]*\}$",
            "x-type": "the name of a secret: ${secret:X}",
        }
    ),
]


class ApiKey(Section):
    """An API key that clients send as `Authorization: Bearer KEY` or `x-api-key: KEY`."""

    name: Name = entry(
        ..., "Who the key is for; appears in logs and rate limits.", example="default", references="none"
    )
    value: SecretName | None = entry(
        None,
        "The key itself, as the name of a secret: `${secret:X}`. A value written out is refused. "
        "Without it llmctl makes a key and keeps it in a file that only you can read.",
        example="${secret:CI_API_KEY}",
        references="secret",
    )


class RateLimit(Section):
    """How often an API key may ask."""

    key: LimitKey = entry(
        "*",
        'The API key it limits, by name; `"*"` gives each key without a limit of its own this one.',
        references="none",
    )
    rps: float = entry(
        ..., "Requests per second on average; more are answered 429.", gt=0, le=1_000_000, example=50
    )
    burst: int | None = entry(
        None, "Requests that may come at once; by default `rps` rounded up.", ge=1, le=1_000_000, example=100
    )

    @property
    def tokens(self) -> int:
        """The size of the bucket: `burst`, else `rps` rounded up."""
        return math.ceil(self.rps) if self.burst is None else self.burst


class Retries(Section):
    """When the gateway asks another replica."""

    attempts: int = entry(
        2, "Further tries when a replica cannot be reached or refuses, before the first byte.", ge=0, le=5
    )


class Gateway(Section):
    """How clients reach the models."""

    host: Host = entry(
        "127.0.0.1",
        "Address to listen on. Anything but this machine needs `auth: api_key`.",
        targets=("local",),
    )
    port: Annotated[int | Literal["auto"], AutoOr(1, 65535)] = entry(
        "auto", "Port to listen on; `auto` picks a free one and keeps it.", targets=("local",)
    )
    auth: Literal["api_key", "none"] = entry("api_key", "Whether clients need an API key.")
    timeout: Annotated[Duration, DurationRange("1s", "15m")] = entry(
        Duration.parse("30s"), "Longest time from a request to the end of its answer, retries included."
    )
    max_body: Annotated[Size, SizeRange("1KiB", "100MiB")] = entry(
        Size.parse("1MiB"), "Largest request body; more is answered 413."
    )
    api_keys: tuple[ApiKey, ...] = entry(
        (ApiKey(name="default"),),
        "The API keys that are let in.",
        example=[{"name": "default"}],
        max_length=1000,
    )
    rate_limits: tuple[RateLimit, ...] = entry(
        (),
        "Limits per API key; none by default.",
        example=[{"key": "*", "rps": 50, "burst": 100}],
        max_length=1000,
    )
    retries: Retries = entry(Retries(), "When the gateway asks another replica.", targets=("local", "kubernetes"))
