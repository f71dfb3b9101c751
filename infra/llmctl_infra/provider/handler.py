"""What one resource type must be able to do; the provider host does the rest.

A handler sees plain Python values. It is called from several threads at once, for different resources. In a
preview only `check`, `diff` and `preview` are called, and `read` when it refreshes; inputs may then be, or hold
at any depth, `codec.UNKNOWN`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from llmctl_infra.errors import ResourceError
from llmctl_infra.provider.codec import UNKNOWN, changed_paths

Props: TypeAlias = Mapping[str, Any]
"""Properties of a resource by their camelCase names."""


@dataclass(frozen=True)
class CheckFailure:
    """One input that is not acceptable."""

    property: str
    reason: str


@dataclass(frozen=True)
class Diff:
    """What differs between the recorded resource and the wanted one.

    Attributes:
        changed: property paths that differ, such as `model.digest`; empty means that nothing is to be done.
        replace: the paths among them that need a new resource; empty means that an update in place will do.
        delete_before_replace: the old resource must go first, because both would have the same name.
    """

    changed: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    delete_before_replace: bool = False


class PartialError(ResourceError):
    """Raised by `create` and `update` when the resource exists but does not work.

    The engine records the resource with the error; the next update tries again to bring it right.

    Attributes:
        resource_id: its id.
        outputs: its computed outputs so far.
    """

    def __init__(self, cause: ResourceError, resource_id: str, outputs: Props) -> None:
        super().__init__(cause.what, cause.why, cause.fix, cause.evidence)
        self.resource_id = resource_id
        self.outputs = outputs


class Handler(ABC):
    """The life of one resource type.

    Outputs that a handler returns are the computed ones; the host adds the inputs. What it is given as
    `outputs` holds both. Every method may raise `ResourceError`; anything else counts as a defect.

    Attributes:
        computed: names of the computed outputs; unknown when a create or an update is previewed.
        stable: the computed outputs that an update in place never changes.
        replace_on: top-level inputs whose change needs a new resource.
        delete_before_replace: whether the old resource must go before the new one is made. True by default:
            names are deterministic, so both cannot exist at once.
        secret_outputs: computed outputs that are secret. An output with the name of a secret input always is.
    """

    computed: ClassVar[frozenset[str]] = frozenset()
    stable: ClassVar[frozenset[str]] = frozenset()
    replace_on: ClassVar[frozenset[str]] = frozenset()
    delete_before_replace: ClassVar[bool] = True
    secret_outputs: ClassVar[frozenset[str]] = frozenset()

    def check(self, news: Props) -> tuple[Props, list[CheckFailure]]:
        """Complete and validate the inputs; by default they are taken as they are. Must be pure and fast."""
        return news, []

    def diff(self, resource_id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        """Compare recorded and wanted; by default input by input."""
        del resource_id, old_outputs
        changed = changed_paths(old_inputs, news)
        replace = tuple(path for path in changed if _top(path) in self.replace_on)
        return Diff(changed, replace, self.delete_before_replace)

    def preview(self, news: Props, old_outputs: Props | None) -> Props:
        """Computed outputs as far as they are known before a create (`old_outputs` is None) or an update."""
        del news
        kept = self.stable if old_outputs is not None else frozenset()
        return {name: (old_outputs or {}).get(name) if name in kept else UNKNOWN for name in self.computed}

    @abstractmethod
    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        """Make the resource with the logical `name` and return its id (never empty) and computed outputs.

        Idempotent by the resource's own deterministic name: what an interrupted create left is taken over.
        """

    @abstractmethod
    def read(self, resource_id: str, inputs: Props, outputs: Props) -> tuple[Props, Props] | None:
        """Inputs and computed outputs as they really are now; None when the resource is gone.

        `inputs` and `outputs` are the recorded ones; `outputs` is empty when recovery adopts a resource, and
        both are when one is imported by id. An input that is returned with another value than the recorded
        one is drift, and the next update sets it right.
        """

    @abstractmethod
    def update(self, resource_id: str, old_outputs: Props, news: Props) -> Props:
        """Bring the resource to `news` in place and return its computed outputs."""

    @abstractmethod
    def delete(self, resource_id: str, outputs: Props) -> None:
        """Remove the resource; removing what is not there succeeds."""

    @abstractmethod
    def find(self, inputs: Props) -> tuple[str, Props] | None:
        """Id and computed outputs of the resource that `create(…, inputs)` makes, when it is there already.

        Recovery asks this after an interrupted create. Secret inputs are `UNKNOWN`: no name depends on one.
        """


def _top(path: str) -> str:
    return path.split(".", 1)[0].split("[", 1)[0]
