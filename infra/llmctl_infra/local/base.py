"""What all handlers of the local target have in common.

A local resource is described by its inputs alone. A handler says four things about it: which one it is
(`identity`), how to make what is there match the inputs (`converge`, whatever was there before), what is really
there (`observe`), and how to take it away (`remove`). Create, update, find and read follow from these.

What `observe` finds wrong (a dead process, an edited file) becomes the output `drift`, a list of sentences. It is
empty in a healthy resource, so a refresh shows it as a change, and the next update sets things right.
"""

# ruff: noqa: ARG002 - some arguments of the protocol say what the inputs say already

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from llmctl_infra.provider.codec import UNKNOWN, has_unknown
from llmctl_infra.provider.handler import CheckFailure, Diff, Handler, Props

DRIFT = "drift"


class Inputs(BaseModel):
    """Inputs of a resource; camelCase on the wire."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


InputsT = TypeVar("InputsT", bound=Inputs)


@dataclass(frozen=True)
class Observed:
    """What a resource is like now.

    Attributes:
        outputs: its computed outputs, without `drift`.
        drift: what is wrong with it, one sentence each.
    """

    outputs: dict[str, Any]
    drift: tuple[str, ...] = ()


class LocalHandler(Handler, Generic[InputsT]):
    """A handler that is described by `identity`, `converge`, `observe` and `remove`.

    Attributes:
        inputs: the type of the inputs.
    """

    inputs: type[InputsT]
    computed: ClassVar[frozenset[str]] = frozenset({DRIFT})

    @abstractmethod
    def identity(self, inputs: InputsT) -> str:
        """The resource's id, made from inputs that never change without a replacement."""

    @abstractmethod
    def converge(self, inputs: InputsT) -> dict[str, Any]:
        """Make the resource match `inputs`, whatever is there now; return its computed outputs."""

    @abstractmethod
    def observe(self, inputs: InputsT) -> Observed | None:
        """What is there; None when there is nothing. Changes nothing."""

    @abstractmethod
    def remove(self, inputs: InputsT) -> None:
        """Take the resource away; what is not there is fine."""

    # -- the protocol of the provider host -----------------------------------------------------------------

    def check(self, news: Props) -> tuple[Props, list[CheckFailure]]:
        """Refuse what is missing, unknown to the resource or of the wrong kind, all at once."""
        try:
            self.inputs.model_validate(dict(news))
        except ValidationError as error:
            return news, [
                CheckFailure(".".join(map(str, each["loc"])), each["msg"])
                for each in error.errors(include_url=False)
                if each["type"] == "missing" or not has_unknown(each["input"])
            ]
        return news, []

    def diff(self, resource_id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        """Compare inputs; what was found wrong is a difference too."""
        found = super().diff(resource_id, old_inputs, old_outputs, news)
        return replace(found, changed=(*found.changed, DRIFT)) if old_outputs.get(DRIFT) else found

    def preview(self, news: Props, old_outputs: Props | None) -> Props:
        """Unknown but for what stays; nothing is wrong with a resource after an update."""
        return {**super().preview(news, old_outputs), DRIFT: []}

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        """Make the resource, or take over what an interrupted create left."""
        parsed = self._parse(inputs)
        return self.identity(parsed), {**self.converge(parsed), DRIFT: []}

    def update(self, resource_id: str, old_outputs: Props, news: Props) -> Props:
        """Bring the resource to `news` in place."""
        return {**self.converge(self._parse(news)), DRIFT: []}

    def read(self, resource_id: str, inputs: Props, outputs: Props) -> tuple[Props, Props] | None:
        """Inputs as recorded and outputs as they are; None when it is gone, or asked for by its id alone."""
        if not inputs:
            return None
        observed = self.observe(self._parse(inputs))
        return None if observed is None else (inputs, _outputs(observed))

    def delete(self, resource_id: str, outputs: Props) -> None:
        """Remove the resource."""
        self.remove(self._parse(outputs))

    def find(self, inputs: Props) -> tuple[str, Props] | None:
        """The resource that an interrupted create may have left."""
        parsed = self._parse(inputs)
        observed = self.observe(parsed)
        return None if observed is None else (self.identity(parsed), _outputs(observed))

    def _parse(self, properties: Mapping[str, Any]) -> InputsT:
        """The inputs among `properties`; what is unknown (a secret, in recovery) takes its default."""
        names = {field.alias or name for name, field in self.inputs.model_fields.items()}
        known = {name: value for name, value in properties.items() if name in names and value is not UNKNOWN}
        return self.inputs.model_validate(known)


def _outputs(observed: Observed) -> dict[str, Any]:
    return {**observed.outputs, DRIFT: list(observed.drift)}
