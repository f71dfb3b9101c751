from __future__ import annotations

from llmctl_server.state import State


def ready(*, drain_delay: float = 2.0, grace: float = 10.0) -> State:
    state = State(began=0.0, drain_delay=drain_delay, grace=grace)
    state.ready()
    return state


def drained(state: State, seconds: float) -> bool:
    """Whether the listener may close so many seconds after the first signal."""
    assert state.draining_since is not None
    return state.drained(state.draining_since + seconds)


def test_a_server_starts_then_is_ready_then_drains() -> None:
    state = State(began=0.0, drain_delay=1.0, grace=2.0)
    seen = [state.status]
    state.ready()
    seen.append(state.status)
    state.drain()
    seen.append(state.status)

    assert seen == ["starting", "ready", "draining"]
    assert state.ready_seconds > 0


def test_without_a_signal_it_never_ends() -> None:
    assert not ready().drained(1e9)


def test_an_idle_server_stays_for_the_delay_so_that_balancers_notice() -> None:
    state = ready()
    state.drain()

    assert not drained(state, 1.9)
    assert drained(state, 2.0)


def test_accepted_requests_keep_it_until_they_are_done_or_the_grace_is_over() -> None:
    state = ready()
    state.in_flight = 1
    state.drain()

    assert not drained(state, 9.9)
    assert drained(state, 10.0)
    state.in_flight = 0
    assert drained(state, 5.0)


def test_a_grace_shorter_than_the_delay_does_not_shorten_the_delay() -> None:
    state = ready(drain_delay=2.0, grace=0.0)
    state.in_flight = 1
    state.drain()

    assert not drained(state, 1.9)
    assert drained(state, 2.0)


def test_a_second_signal_ends_it_at_once() -> None:
    state = ready()
    state.in_flight = 1
    state.drain()
    state.drain()

    assert drained(state, 0.0)


def test_a_signal_during_the_start_needs_no_delay_and_is_not_forgotten() -> None:
    state = State(began=0.0, drain_delay=2.0, grace=10.0)
    state.drain()
    state.ready()

    assert state.status == "draining"
    assert drained(state, 0.0)


def test_callers_are_told_when_another_server_will_have_taken_over() -> None:
    state = ready(drain_delay=5.0)
    state.drain()
    assert state.draining_since is not None

    assert state.retry_after(state.draining_since) == 5
    assert state.retry_after(state.draining_since + 3) == 2
    assert state.retry_after(state.draining_since + 30) == 1
