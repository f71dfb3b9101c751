"""Configuration: `llmctl.yaml` and `stacks/<stack>.yaml` as one typed, frozen object.

The way of a value: `reader` (YAML with lines) -> `merge` (stack over base) -> `shape` (known keys, right
nesting) -> `model` (types) -> `rules` (between keys) -> `Loaded`. References stay as written until
`resolve` looks them up. Problems are collected along the way and raised at once.

What describes the keys (`schema`, `explain`, `markdown_reference`, `scaffold`) reads the same models
through `catalogue`.

Importing this package needs pydantic and yaml (about 0.2 s); `llmctl --help` must not.
"""

from llmctl_stacks.config.explain import Explanation, explain
from llmctl_stacks.config.load import Loaded, Origin, load, validate
from llmctl_stacks.config.model import StackConfig
from llmctl_stacks.config.project import Project, find_project
from llmctl_stacks.config.quantities import Duration, Size
from llmctl_stacks.config.reference import markdown_reference
from llmctl_stacks.config.resolve import Secrets, resolve
from llmctl_stacks.config.scaffold import scaffold
from llmctl_stacks.config.schema import schema
from llmctl_stacks.config.secret import Secret
from llmctl_stacks.config.show import show, show_yaml

__all__ = [
    "Duration",
    "Explanation",
    "Loaded",
    "Origin",
    "Project",
    "Secret",
    "Secrets",
    "Size",
    "StackConfig",
    "explain",
    "find_project",
    "load",
    "markdown_reference",
    "resolve",
    "scaffold",
    "schema",
    "show",
    "show_yaml",
    "validate",
]
