"""Configuration: `llmctl.yaml` and `stacks/<stack>.yaml` as one typed, frozen object.

The way of a value: `reader` (YAML with lines) -> `merge` (stack over base) -> `shape` (known keys, right
nesting) -> `model` (types) -> `rules` (between keys) -> `Loaded`. References stay as written until
`resolve` looks them up. Problems are collected along the way and raised at once.

Importing this package needs pydantic and yaml (about 0.2 s); `llmctl --help` must not.
"""

from llmctl_stacks.config.load import Loaded, Origin, load, validate
from llmctl_stacks.config.model import StackConfig
from llmctl_stacks.config.project import Project, find_project
from llmctl_stacks.config.quantities import Duration, Size
from llmctl_stacks.config.resolve import Secrets, resolve
from llmctl_stacks.config.secret import Secret

__all__ = [
    "Duration",
    "Loaded",
    "Origin",
    "Project",
    "Secret",
    "Secrets",
    "Size",
    "StackConfig",
    "find_project",
    "load",
    "resolve",
    "validate",
]
