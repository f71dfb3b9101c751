"""`logs`: its filters."""

from __future__ import annotations

from typing import Any


def test_filters_reach_the_verb(llmctl: Any, fake: Any) -> None:
    llmctl("logs", "dev", "-f", "--since", "10m", "-n", "20", "--replica", "server-1-0", "--component", "server")

    verb, options, filters = fake.asked[-1]
    assert (verb, options.stack) == ("logs", "dev")
    assert filters == {
        "follow": True,
        "since_seconds": 600.0,
        "lines": 20,
        "replica": "server-1-0",
        "component": "server",
    }


def test_without_filters_everything_is_asked_for(llmctl: Any, fake: Any) -> None:
    llmctl("logs")

    assert fake.asked[-1][2] == {
        "follow": False,
        "since_seconds": None,
        "lines": None,
        "replica": None,
        "component": None,
    }


def test_an_unknown_component_is_refused_with_the_choices(llmctl: Any, fake: Any) -> None:
    result = llmctl("logs", "--component", "proxy")

    assert "`proxy` is not one of `server`, `gateway`, `supervisor`, `requests`" in result.stderr
    assert (result.exit_code, fake.asked) == (2, [])
