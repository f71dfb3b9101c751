"""Which Pulumi stack is meant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StackSpec:
    """One layer of one stack of llmctl; to Pulumi, a project and a stack of its own.

    Attributes:
        project: `name:` of `llmctl.yaml`.
        layer: `base` or `serve`.
        stack: name of the stack, such as `local`.
    """

    project: str
    layer: str
    stack: str

    @property
    def pulumi_project(self) -> str:
        """Name of the Pulumi project."""
        return f"{self.project}-{self.layer}"

    def __str__(self) -> str:
        """`demo-base/local`, for messages."""
        return f"{self.pulumi_project}/{self.stack}"
