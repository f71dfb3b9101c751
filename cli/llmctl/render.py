"""Results as lines of text for people. The same facts as in the JSON, in the order in which one asks for them."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmctl.console import Console, harmless
from llmctl.table import columns, seconds
from llmctl_stacks import results

if TYPE_CHECKING:
    from llmctl_stacks.config.explain import Explanation

_SIGNS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "same": " "}
_DONE = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "same": "unchanged"}
_STATES = {
    "ready": "green",
    "running": "green",
    "ok": "green",
    "starting": "yellow",
    "draining": "yellow",
    "degraded": "yellow",
    "interrupted": "yellow",
    "warning": "yellow",
    "crashed": "red",
    "failed": "red",
}


def update(update: results.Update) -> list[str]:
    """What changed, where to call it, a ready request, and what the first request got."""
    endpoint = update.endpoint
    facts: list[tuple[str, str]] = [("endpoint", endpoint.url), ("model", endpoint.model)]
    if endpoint.key_path is not None:
        facts.append(("api key", endpoint.key_path))
    if update.first_answer is not None:
        facts.append(("answer", json.dumps(update.first_answer, ensure_ascii=False)))
    took = seconds(update.duration_seconds)
    return [
        f"stack `{update.stack}` is up: {summary(update.changes, done=True)} in {took}",
        *(f"healed: {sentence}" for sentence in update.healed),
        "",
        *columns(facts),
        "",
        curl(endpoint),
    ]


def curl(endpoint: results.Endpoint) -> str:
    """A request that works as it stands: the key is read from its file, never printed."""
    key = ""
    if endpoint.key_path is not None:
        key = f' -H "Authorization: Bearer $(cat {shlex.quote(endpoint.key_path)})"'
    url = shlex.quote(endpoint.url + endpoint.path)
    return f"curl -s {url}{key} -H 'content-type: application/json' -d {shlex.quote(endpoint.body)}"


def preview(preview: results.Preview, *, everything: bool) -> list[str]:
    """The changes, one a line, and what they mean for requests in flight; the unchanged with `everything`."""
    shown = [change for change in preview.changes if everything or change.operation != "same"]
    head = f"stack `{preview.stack}` on target `{preview.target}`: {summary(preview.changes, done=False)}"
    risks = [f"{risk.resource}: {risk.message}" for risk in preview.risks]
    return [head, *_changes(shown), *(["", "for requests in flight:", *_indent(risks)] if risks else [])]


def summary(changes: Iterable[results.ResourceChange], *, done: bool) -> str:
    """`2 created, 1 updated`, or in a preview `2 to create, 1 to update`."""
    counts = Counter(change.operation for change in changes)
    parts = [
        f"{counts[operation]} {_DONE[operation] if done else f'to {operation}'}"
        for operation in ("create", "update", "replace", "delete")
        if counts[operation]
    ]
    return ", ".join(parts) or ("nothing changed" if done else "nothing to change")


def _changes(changes: Iterable[results.ResourceChange]) -> list[str]:
    return _indent(
        columns(
            (_SIGNS[c.operation], c.operation, c.layer, c.type.rpartition(":")[2], c.name, ", ".join(c.keys))
            for c in changes
        )
    )


def teardown(teardown: results.Teardown) -> list[str]:
    """What went, what stays on purpose, what is left against our will."""
    return [
        f"stack `{teardown.stack}` is down: {summary(teardown.changes, done=True)}"
        f" in {seconds(teardown.duration_seconds)}",
        *([f"kept: {', '.join(teardown.kept)}"] if teardown.kept else []),
        *(f"ended: {name}, which nothing recorded" for name in teardown.swept),
        *(f"left over: {name}" for name in teardown.leftovers),
    ]


def status(status: results.Status, console: Console) -> list[str]:
    """The stack, then a table of its processes, then why those that are not ready are not."""
    facts: list[tuple[str, object]] = [
        ("stack", status.stack),
        ("target", status.target),
        ("state", _state(status.state, console)),
    ]
    if status.endpoint is not None:
        facts += [("endpoint", status.endpoint.url), ("model", status.endpoint.model)]
        facts += [("api key", status.endpoint.key_path or "none asked for")]
    facts.append(("resources", status.resources))
    if status.locked_by is not None:
        facts.append(("locked by", status.locked_by))
    facts += [("pending", name) for name in status.pending]
    table = _replicas(status.replicas, console)
    return [*columns(facts), *(["", *table] if table else [])]


def _replicas(replicas: tuple[results.ReplicaStatus, ...], console: Console) -> list[str]:
    if not replicas:
        return []
    head = ("component", "name", "state", "up", "restarts", "pid", "address")
    rows = (
        (r.component, r.name, _state(r.state, console), seconds(r.uptime_seconds), r.restarts, r.pid, r.address)
        for r in replicas
    )
    table = columns([head, *rows])
    reasons = [(r.name, r.reason.splitlines()) for r in replicas if r.reason]
    why = [line for name, lines in reasons for line in ("", f"{name}:", *_indent(map(harmless, lines)))]
    return [console.paint(table[0], "bold"), *table[1:], *why]


def _state(state: str, console: Console) -> str:
    style = _STATES.get(state)
    return console.paint(state, style) if style else state


def drift(drift: results.Drift, *, note: str = "") -> list[str]:
    """What differs, one resource a line; `note` says what became of it."""
    if not drift.items:
        return [f"stack `{drift.stack}`: no drift"]
    noun = "resource" if len(drift.items) == 1 else "resources"
    rows = ((i.kind, i.layer, i.type.rpartition(":")[2], i.name, ", ".join(i.keys)) for i in drift.items)
    return [f"stack `{drift.stack}`: drift in {len(drift.items)} {noun}{note}", *_indent(columns(rows))]


def recovery(recovery: results.Recovery) -> list[str]:
    """What was mended."""
    if not recovery.actions:
        return [f"stack `{recovery.stack}`: nothing to mend"]
    return [f"stack `{recovery.stack}`:", *_indent(recovery.actions)]


def lock(lock: results.LockStatus) -> list[str]:
    """Who holds the stack."""
    if not lock.held and not lock.stale:
        return [f"stack `{lock.stack}` is not locked"]
    verb = f" running `llmctl {lock.verb}`" if lock.verb else ""
    age = f", {seconds(lock.age_seconds)} old" if lock.age_seconds is not None else ""
    dead = "; the owner no longer lives" if lock.stale else ""
    return [f"stack `{lock.stack}` is locked by {lock.owner or 'an unknown owner'}{verb}{age}{dead}"]


def diagnosis(diagnosis: results.Diagnosis, console: Console) -> list[str]:
    """One line a check, with its cure below it when it is not ok."""
    rows = columns((check.state, check.name, check.detail) for check in diagnosis.checks)
    lines: list[str] = []
    for row, check in zip(rows, diagnosis.checks, strict=True):
        lines.append(row.replace(check.state, _state(check.state, console), 1))
        if check.fix and check.state != "ok":
            lines.append(f"  next: {check.fix}")
    return [*lines, *(f"fixed: {sentence}" for sentence in diagnosis.fixed)]


def explanation(explanation: Explanation) -> list[str]:
    """What a key does, then its facts, then the keys below it."""
    facts: list[tuple[str, object]] = [("type", explanation.type)]
    if explanation.required:
        facts.append(("required", "yes"))
    elif explanation.default is not None and not explanation.keys:
        facts.append(("default", _yaml_like(explanation.default)))
    if explanation.example is not None:
        facts.append(("example", _yaml_like(explanation.example)))
    facts.append(("targets", ", ".join(explanation.targets)))
    if explanation.references != "none":
        allowed = "`${env:X}`" if explanation.references == "any" else "`${env:X}`, `${secret:X}`"
        facts.append(("may hold", allowed))
    if explanation.keys:
        facts.append(("keys", ", ".join(explanation.keys)))
    return [explanation.key, *_indent([explanation.description, *columns(facts)])]


def _yaml_like(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def log_line(line: results.LogLine) -> list[str]:
    """The line, after the name of the replica that wrote it."""
    return [f"{line.replica} | {harmless(line.text)}"]


def answer(answer: results.Answer) -> list[str]:
    """The body alone, so that it can be piped on."""
    if isinstance(answer.body, str):
        return [harmless(answer.body)]
    return [json.dumps(answer.body, ensure_ascii=False, indent=2)]


def answer_note(answer: results.Answer) -> str:
    """What came beside the body."""
    request = f", request `{answer.request_id}`" if answer.request_id else ""
    return f"status {answer.status} in {answer.milliseconds:.0f} ms{request}"


def _indent(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
