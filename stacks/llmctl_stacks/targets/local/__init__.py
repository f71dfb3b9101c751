"""The target `local`: the platform in small on this machine."""

from llmctl_stacks.targets.local.target import LocalTarget

__all__ = ["LocalTarget"]
