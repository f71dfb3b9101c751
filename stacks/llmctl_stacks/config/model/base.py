"""What every section of the configuration shares.

A section is a frozen pydantic model. Unknown keys are refused: a key that is accepted and does nothing
is worse than an error, since nobody finds out. Types are strict: `"4"` is not 4, and `yes` is text.

Every field carries its description (with unit), and as metadata the targets that consume it and an
example. The reference page, the JSON Schema, `config explain` and the check of unused keys all read these.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, ValidatorFunctionWrapHandler, field_validator

from llmctl_stacks.config.references import Reference, Resolved, is_template
from llmctl_stacks.config.scalars import read_scalar

Target = Literal["local", "kubernetes", "aws"]
TARGETS: tuple[Target, ...] = ("local", "kubernetes", "aws")


def entry(
    default: Any = ...,
    description: str = "",
    *,
    targets: tuple[Target, ...] = TARGETS,
    example: object = None,
    references: Literal["any", "secret", "none"] = "any",
    **constraints: Any,
) -> Any:
    """Declare a key of a section.

    Args:
        default: the value when the key is not written; `...` to require it.
        description: what it does, with its unit.
        targets: the targets that consume it; any other refuses it.
        example: a value to show, when the default does not say enough.
        references: `any` allows `${env:X}`; `secret` also `${secret:X}`, and the resolved value is then
            kept out of the configuration; `none` allows neither, for keys that name things in state.
        constraints: what pydantic's `Field` takes, such as `ge` and `alias`.
    """
    metadata: dict[str, Any] = {"targets": list(targets), "example": example, "references": references}
    return Field(default, description=description, json_schema_extra={"llmctl": metadata}, **constraints)


class Section(BaseModel):
    """A mapping of the configuration: frozen, strict, and without room for unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @field_validator("*", mode="wrap")
    @classmethod
    def _references(cls, value: Any, handler: ValidatorFunctionWrapHandler, _: ValidationInfo) -> Any:
        """Let an unresolved value stand as it is; read a resolved one as text, else as a YAML scalar."""
        if isinstance(value, Resolved):
            scalar = read_scalar(value)
            try:
                return handler(str(value))
            except ValueError:
                if isinstance(scalar, str):
                    raise
                return handler(scalar)
        return Reference(value) if is_template(value) else handler(value)
