"""What a plain YAML scalar means here: the JSON-like core of YAML 1.2, not the traps of YAML 1.1.

`yes`, `no`, `on`, `off` are text, `0777` and `12:30:00` are text, dates are text. Only `true` and `false`
are booleans, only decimal digits are numbers.
"""

from __future__ import annotations

import re

Value = str | int | float | bool | None

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 30


def read_scalar(text: str) -> Value:
    """The value of an unquoted scalar."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    return _number(text) if len(text) <= _MAX_DIGITS else text


def _number(text: str) -> int | float | str:
    """The number that `text` is, else `text`."""
    if _INT.fullmatch(text):
        return int(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "").lower())
    return text
