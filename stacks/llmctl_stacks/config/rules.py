"""What must hold between keys, beyond the type of each.

A rule looks at a typed configuration and yields what is wrong. It names the keys it reads; when one of
them is broken or still a reference, the rule waits, so that one mistake is reported once.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from llmctl_stacks.config.model import StackConfig
from llmctl_stacks.config.nodes import KeyPath
from llmctl_stacks.config.references import names
from llmctl_stacks.config.suggest import did_you_mean


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    Attributes:
        path: the key that is wrong.
        message: what is wrong with it.
        hint: a cure; may be empty.
        at: the key whose line to name, when the wrong one is not written.
    """

    path: KeyPath
    message: str
    hint: str = ""
    at: KeyPath | None = None


Findings = Iterator[Finding]


@dataclass(frozen=True)
class Rule:
    """A rule and the keys it reads, list indexes left out."""

    reads: tuple[KeyPath, ...]
    check: Callable[[StackConfig], Findings]


def rules() -> tuple[Rule, ...]:
    """Every rule there is."""
    return tuple(_RULES)


_RULES: list[Rule] = []


def _rule(*reads: str) -> Callable[[Callable[[StackConfig], Findings]], Callable[[StackConfig], Findings]]:
    """Register a rule that reads the dotted keys."""

    def register(check: Callable[[StackConfig], Findings]) -> Callable[[StackConfig], Findings]:
        _RULES.append(Rule(tuple(tuple(key.split(".")) for key in reads), check))
        return check

    return register


@_rule("models.name")
def _one_model(config: StackConfig) -> Findings:
    if not config.models:
        yield Finding(("models",), "needs a model", "add `- name: attention`")
    for index, model in enumerate(config.models[1:], 1):
        first = config.models[0].name
        hint = f"one entry is served for now; to change it in a stack file, use its name `{first}`"
        yield Finding(("models", index), f"{model.name!r} is a second model", hint)


@_rule("target", "models.engine", "models.source")
def _engine_of_target(config: StackConfig) -> Findings:
    for index, model in enumerate(config.models):
        path = ("models", index, "engine")
        if config.target == "local" and model.engine != "attention":
            yield Finding(path, f"the target `local` does not serve the engine `{model.engine}`, only `attention`")
        if model.engine != "attention" and model.source == "builtin://attention":
            message = f"is a bundle for the engine `attention`, not `{model.engine}`"
            yield Finding(("models", index, "source"), message, "name one with file://")


@_rule("server.drain_delay", "server.grace")
def _grace_covers_drain(config: StackConfig) -> Findings:
    if config.server.grace <= config.server.drain_delay:
        yield Finding(("server", "grace"), f"must be longer than server.drain_delay ({config.server.drain_delay})")


@_rule("server.max_texts", "server.max_queue")
def _full_request_fits(config: StackConfig) -> Findings:
    if config.server.max_texts > config.server.max_queue:
        message = f"must be at most server.max_queue ({config.server.max_queue}), or a full request never fits"
        yield Finding(("server", "max_texts"), message)


@_rule("server.environment")
def _environment_names(config: StackConfig) -> Findings:
    for name in config.server.environment:
        path = ("server", "environment", name)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            yield Finding(path, "is no name of an environment variable", "use letters, digits and underscores")
        elif name.upper().startswith("LLMCTL_"):
            yield Finding(path, "is set by llmctl itself", "use the keys of `server`")


@_rule("gateway.host", "gateway.auth")
def _open_gateway(config: StackConfig) -> Findings:
    if config.gateway.auth == "none" and not _is_loopback(config.gateway.host):
        hint = "set gateway.auth to api_key, or gateway.host to 127.0.0.1"
        yield Finding(("gateway", "host"), "would let anyone in, as gateway.auth is none", hint)


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@_rule("gateway.api_keys", "gateway.auth")
def _api_keys_and_auth(config: StackConfig) -> Findings:
    gateway = config.gateway
    if gateway.auth == "api_key" and not gateway.api_keys:
        message = "needs an entry, as gateway.auth is api_key"
        yield Finding(("gateway", "api_keys"), message, "add `- name: default`")
    if gateway.auth == "none" and gateway.api_keys and "api_keys" in gateway.model_fields_set:
        hint = "remove it, or set gateway.auth to api_key"
        yield Finding(("gateway", "api_keys"), "is not consumed while gateway.auth is none", hint)


@_rule("gateway.api_keys")
def _api_key_values(config: StackConfig) -> Findings:
    for index, api_key in enumerate(config.gateway.api_keys):
        found = names(api_key.value) if api_key.value is not None else ()
        if api_key.value is not None and [str(name) for name in found] != [str(api_key.value)]:
            hint = "name it: ${secret:X}"
            yield Finding(("gateway", "api_keys", index, "value"), "must not be written here", hint)


@_rule("gateway.rate_limits.key", "gateway.api_keys.name", "gateway.auth")
def _limits_name_keys(config: StackConfig) -> Findings:
    keys = [] if config.gateway.auth == "none" else [api_key.name for api_key in config.gateway.api_keys]
    for index, limit in enumerate(config.gateway.rate_limits):
        if limit.key != "*" and limit.key not in keys:
            hint = did_you_mean(limit.key, keys) or f"keys are {', '.join([*keys, '*'])}"
            yield Finding(("gateway", "rate_limits", index, "key"), f"no API key is named {limit.key!r}", hint)


@_rule("models.name", "nodes.name", "gateway.api_keys.name", "gateway.rate_limits.key")
def _names_once(config: StackConfig) -> Findings:
    gateway = config.gateway
    yield from _repeated(("models",), "name", (model.name for model in config.models))
    yield from _repeated(("nodes",), "name", (node.name for node in config.nodes))
    yield from _repeated(("gateway", "api_keys"), "name", (api_key.name for api_key in gateway.api_keys))
    yield from _repeated(("gateway", "rate_limits"), "key", (limit.key for limit in gateway.rate_limits))


def _repeated(path: KeyPath, key: str, values: Iterable[str]) -> Findings:
    """Entries of a list whose name an earlier one has."""
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if value in first:
            yield Finding((*path, index, key), f"{value!r} is used before, in entry {first[value]}")
        first.setdefault(value, index)


@_rule("nodes.min", "nodes.max")
def _node_range(config: StackConfig) -> Findings:
    for index, node in enumerate(config.nodes):
        if node.min > node.max:
            yield Finding(("nodes", index, "min"), f"must be at most max, which is {node.max}")


@_rule("secrets.from", "secrets.path")
def _secret_source(config: StackConfig) -> Findings:
    source = config.secrets
    if source.from_ == "file" and source.path is None:
        yield Finding(("secrets", "path"), "is required with from: file", "add `path: secrets.env`")
    if source.from_ == "env" and source.path is not None:
        hint = "set secrets.from to file, or remove it"
        yield Finding(("secrets", "path"), "is not consumed with from: env", hint)


@_rule("target", "aws", "nodes")
def _aws_needs(config: StackConfig) -> Findings:
    if config.target == "aws" and config.aws is None:
        yield Finding(("aws",), "is required by the target `aws`", "add `account` and `region`", ("target",))
    if config.target == "aws" and not config.nodes:
        yield Finding(("nodes",), "is required by the target `aws`", "add `- name: cpu`", ("target",))


@_rule("target", "kubernetes.registry")
def _kubernetes_needs(config: StackConfig) -> Findings:
    if config.target == "kubernetes" and config.kubernetes.registry is None:
        hint = "add `registry: localhost:5001` or another that the nodes can pull from"
        yield Finding(("kubernetes", "registry"), "is required by the target `kubernetes`", hint, ("target",))
