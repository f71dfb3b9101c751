"""The reference page of the configuration, as Markdown: every word of it comes from the models."""

from __future__ import annotations

from llmctl_stacks.config.catalogue import Key, walk
from llmctl_stacks.config.emit import emit, inline
from llmctl_stacks.config.model import TARGETS, Target
from llmctl_stacks.config.plain import plain_value

_HEAD = """\
<!-- Written by `python -m llmctl_stacks.config docs/reference`; edit the models instead. -->

# Configuration

A stack is described by `llmctl.yaml` (what all stacks share) and `stacks/<stack>.yaml` (what is
particular to one). `llmctl config show STACK --origin` prints the result and where each value comes from,
`llmctl config validate` reports every problem with its line, `llmctl config explain KEY` prints one row of
this page.

## How files are read

- **Merging.** The stack's file is merged over the base file key by key. Lists are replaced, except `models`
  and `nodes`, whose entries are merged by `name`. `null` takes back what the base file says, so that the
  default holds. A section with nothing below it (`gateway:`) changes nothing.
- **Unknown keys** are refused, and so is a key that the stack's target does not consume. Keys that start
  with `x-` are yours: they are skipped wherever a section is, and may hold YAML anchors
  (`x-limits: &limits {{rps: 5}}`, then `- *limits` or `<<: *limits`).
- **Values.** Only `true` and `false` are booleans; `yes`, `no`, `on` and `off` are text. `0777` and `12:30`
  are text. Text that looks like a number needs quotes: `version: "1.35"`.
- **Durations** have a unit: `500ms`, `30s`, `10m`, `12h`, `14d`, or a sum such as `1h30m`.
- **Sizes** have a unit: `KiB`, `MiB`, `GiB`, `TiB` (1024), `kB`, `MB`, `GB`, `TB` (1000), or `B`.
- **References.** `${{env:X}}` is an environment variable, `${{secret:X}}` a secret of [`secrets`](#secrets),
  `$${{` a literal `${{`. They are looked up when a stack is previewed or brought up, and never printed. After
  that the value is checked as if it had been written there: `replicas: ${{env:N}}` must be a whole number.
  `${{secret:X}}` is taken by {secret_keys} alone. Keys that name things in state take no reference:
  {literal_keys}.
"""


def markdown_reference() -> str:
    """The page `docs/reference/config.md`."""
    rows = list(walk())
    secret_keys = " and ".join(f"`{pattern}`" for pattern, key, _ in rows if key.references == "secret")
    literal_keys = ", ".join(f"`{pattern}`" for pattern, key, _ in rows if key.references == "none")
    parts = [_HEAD.format(secret_keys=secret_keys, literal_keys=literal_keys)]
    top = [row for row in rows if "." not in row[0] and row[1].kind != "section" and row[1].kind != "sections"]
    parts.append(_section("Top level", "Keys beside the sections.", top))
    for pattern, key, targets in rows:
        if "." in pattern or key.kind not in ("section", "sections"):
            continue
        prefix = (f"{pattern}.", f"{pattern}[")
        inner = [row for row in rows if row[0].startswith(prefix) and row[1].kind != "section"]
        parts.append(_section(pattern, _introduction(key, targets), inner))
    return "\n".join(parts)


def _introduction(key: Key, targets: tuple[Target, ...]) -> str:
    """The first lines of a section."""
    text = key.description
    if targets != TARGETS:
        text += f" Target {_targets(targets)} only."
    if key.example is not None:
        text += f"\n\n```yaml\n{emit({key.name: plain_value(key.example)})}```"
    return text


def _section(title: str, introduction: str, rows: list[tuple[str, Key, tuple[Target, ...]]]) -> str:
    """A heading, a paragraph and a table."""
    lines = ["| Key | Type | Default | Targets | What it does |", "|---|---|---|---|---|"]
    for pattern, key, targets in rows:
        cells = (f"`{pattern}`", key.type_name, _default(key), _targets(targets), key.description)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return f"## {title}\n\n{introduction}\n\n" + "\n".join(lines) + "\n"


def _default(key: Key) -> str:
    """The default, or that there is none."""
    if key.required:
        return "required"
    return "" if key.default is None else f"`{inline(plain_value(key.default))}`"


def _targets(targets: tuple[Target, ...]) -> str:
    """Who consumes it."""
    return "all" if targets == TARGETS else ", ".join(f"`{target}`" for target in targets)
