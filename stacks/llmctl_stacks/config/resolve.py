"""Late resolution of `${env:X}` and `${secret:X}`.

Only what builds or starts something resolves. What comes out is a configuration in which every reference
is replaced and checked again as if it had been written there (`replicas: ${env:N}` must be a whole
number), except where secrets go: those values stay references in the configuration and are handed out
only through `Secrets`, whose text forms are masked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from llmctl_stacks.config.catalogue import find
from llmctl_stacks.config.check import check
from llmctl_stacks.config.dotenv import read_dotenv
from llmctl_stacks.config.load import Loaded
from llmctl_stacks.config.model import StackConfig
from llmctl_stacks.config.nodes import Entries, Entry, Items, KeyPath, Node, Scalar, dotted
from llmctl_stacks.config.project import shown
from llmctl_stacks.config.references import Name, is_template, names, substitute
from llmctl_stacks.config.secret import Secret
from llmctl_stacks.errors import ConfigError, Problem


class Secrets(Mapping[str, Secret]):
    """Every resolved value by its dotted key, masked; and the configuration with the others in place.

    Attributes:
        config: what to build from: references are replaced, except in `server.environment` and
            `gateway.api_keys[].value`.
    """

    def __init__(self, config: StackConfig, values: Mapping[str, Secret]) -> None:
        self.config = config
        self._values = dict(values)

    def __getitem__(self, key: str) -> Secret:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._values))})"

    def environment(self) -> dict[str, str]:
        """The whole of `server.environment` in the clear; treat every value as a secret."""
        return {
            name: self._text(dotted(("server", "environment", name)), written)
            for name, written in self.config.server.environment.items()
        }

    def api_keys(self) -> dict[str, str]:
        """The API keys whose value is given, by name, in the clear."""
        return {
            api_key.name: self._text(dotted(("gateway", "api_keys", index, "value")), api_key.value)
            for index, api_key in enumerate(self.config.gateway.api_keys)
            if api_key.value is not None
        }

    def _text(self, key: str, written: str) -> str:
        """The value of a key that may be a reference."""
        return self._values[key].reveal() if key in self._values else written


def resolve(loaded: Loaded, environ: Mapping[str, str] | None = None) -> Secrets:
    """Look up every reference of a configuration.

    Args:
        loaded: the configuration.
        environ: environment variables; those of this process by default.

    Raises:
        ConfigError: with every reference that is missing and every resolved value that does not fit its
            key, by file and line; no message holds a resolved value.
    """
    lookup = _Lookup(loaded, os.environ if environ is None else environ)
    tree = lookup.resolve(loaded.tree, ())
    assert isinstance(tree, Entries)
    checked = check(tree)
    if problems := (*lookup.problems, *checked.problems):
        raise ConfigError(problems, "set these variables and secrets, and run the command again")
    return Secrets(checked.config, lookup.values)


class _Lookup:
    """One pass over the tree."""

    def __init__(self, loaded: Loaded, environ: Mapping[str, str]) -> None:
        self.loaded = loaded
        self.environ = environ
        self.values: dict[str, Secret] = {}
        self.api_keys: dict[str, KeyPath] = {}
        self.problems: list[Problem] = []

    def resolve(self, node: Node, path: KeyPath) -> Node:
        """The node with its references replaced; those that stay are looked up all the same."""
        if isinstance(node, Entries):
            entries = {
                name: Entry(entry.place, self.resolve(entry.node, (*path, name)))
                for name, entry in node.entries.items()
            }
            return Entries(entries, node.place)
        if isinstance(node, Items):
            items = tuple(self.resolve(item, (*path, index)) for index, item in enumerate(node.items))
            return Items(items, node.place)
        key = find(path)
        if key is None or not is_template(node.value):
            return node
        found = {name: self._look_up(name, node, path) for name in names(node.text)}
        if None in found.values():
            return node
        text = substitute(node.text, lambda name: str(found[name]))
        self.values[dotted(path)] = Secret(text)
        if key.references != "secret":
            return Scalar(text, node.text, node.place)
        if key.name == "value":
            self._check_api_key(text, node, path)
        return node

    def _look_up(self, name: Name, node: Scalar, path: KeyPath) -> str | None:
        """The value of a name, or None; a missing one is noted."""
        source = self.environ if name.kind == "env" else self._secrets
        if source is None:
            return None
        value = source.get(name.name)
        # An empty variable may be meant; an empty secret never is.
        if value or (value is not None and name.kind == "env"):
            return value
        in_file = name.kind == "secret" and self.loaded.config.secrets.from_ == "file"
        cure = f"add it to {self._secrets_file}" if in_file else f"export {name.name}"
        self._problem(node, path, f"{name} is {'not set' if value is None else 'empty'}", cure)
        return None

    def _check_api_key(self, text: str, node: Scalar, path: KeyPath) -> None:
        """Note an API key that could be guessed, that no header can carry, or that tells no client apart."""
        if not re.fullmatch(r"[A-Za-z0-9._~+/=-]{24,256}", text):
            message = f"{node.text} must have 24 to 256 letters, digits or . _ ~ + / = -"
            hint = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"
            self._problem(node, path, message, hint)
        elif (first := self.api_keys.setdefault(text, path)) != path:
            self._problem(node, path, f"{node.text} is the same as {dotted(first)}", "give each API key its own")

    def _problem(self, node: Scalar, path: KeyPath, message: str, hint: str) -> None:
        """Note a problem where the reference is written."""
        self.problems.append(Problem(node.place.shown, node.place.line, dotted(path), message, hint))

    @cached_property
    def _secrets(self) -> Mapping[str, str] | None:
        """Where `${secret:X}` is looked up; None when it cannot be read, which is reported once."""
        if self.loaded.config.secrets.from_ == "env":
            return self.environ
        try:
            return read_dotenv(self._path, self._secrets_file)
        except ConfigError as error:
            self.problems += error.problems
            return None

    @property
    def _path(self) -> Path:
        """The file of secrets."""
        written = self.loaded.config.secrets.path
        assert written is not None
        return self.loaded.path("secrets.path", written)

    @property
    def _secrets_file(self) -> Path:
        """The file of secrets, as the user would type it."""
        return shown(self._path)
