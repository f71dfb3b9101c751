"""`kill -9` and Ctrl-C at bad moments: the next command heals, nothing is doubled, nothing is orphaned."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from support.product import Product, eventually

SEEDS = range(20)


def assert_whole(product: Product, replicas: int) -> None:
    """Exactly one supervisor, `replicas` servers and one gateway run, and drift finds nothing."""
    status = product.good("status")
    components = sorted(replica["component"] for replica in status["replicas"])
    assert components == sorted(["gateway", "supervisor", *["server"] * replicas])
    assert status["state"] == "running"
    assert len(product.processes()) == replicas + 2, [process.cmdline() for process in product.processes()]
    assert product.good("drift")["items"] == []
    assert product.engines() == []


def kill_llmctl(process_id: int, product: Product) -> None:
    del product
    os.killpg(process_id, signal.SIGKILL)


def kill_engine(process_id: int, product: Product) -> None:
    del process_id
    for engine in product.engines():
        engine.kill()


def kill_both(process_id: int, product: Product) -> None:
    kill_engine(process_id, product)
    kill_llmctl(process_id, product)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_kill_at_a_random_moment_is_healed_by_the_next_up(product: Product, seed: int) -> None:
    """Of `up`, `down` and an update; of llmctl, the engine, or both."""
    rng = random.Random(seed)
    verb = ("up", "down", "update")[seed % 3]
    kill: Callable[[int, Product], None] = rng.choice([kill_llmctl, kill_engine, kill_both])
    recover_first = rng.random() < 0.3
    arguments = ["down", "local", "--yes"] if verb == "down" else ["up", "local"]
    if verb != "up":
        product.up()
    if verb == "update":
        product.configure(scaling={"replicas": 3}, server={"max_queue": 77})

    process = product.start(*arguments)
    time.sleep(rng.uniform(0.3, {"up": 4.5, "update": 5.5, "down": 2.5}[verb]))
    kill(process.pid, product)
    process.communicate(timeout=60)
    if recover_first:
        product.good("recover", "local")
    product.configure(scaling={"replicas": 2})
    healed = product.up()
    assert healed["first_answer"]["label"] == "positive"
    assert_whole(product, 2)
    product.good("down", "local", "--all", "--yes")
    assert product.processes() == []
    assert product.listening() == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_during_create_winds_down_and_the_next_up_goes_on(product: Product, number: int) -> None:
    process = product.start("up", "local")
    assert eventually(lambda: bool(product.engines()), 30)
    time.sleep(0.7)

    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    assert product.engines() == []
    assert not product.good("lock", "status")["held"]
    product.up()
    assert_whole(product, 2)


def test_two_signals_stop_at_once_and_the_next_up_heals(product: Product) -> None:
    process = product.start("up", "local")
    assert eventually(lambda: bool(product.engines()), 30)
    time.sleep(1.0)

    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.3)
    started = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130, err
    assert time.monotonic() - started < 10
    assert "llmctl recover" in err
    assert "Traceback" not in out + err
    product.up()
    assert_whole(product, 2)


def test_a_second_up_ends_with_8_and_names_owner_and_age(product: Product) -> None:
    first = product.start("up", "local")
    assert eventually(lambda: bool(product.engines()), 30)

    second = product("up", "local", "--output", "json")
    _, err = first.communicate(timeout=90)

    refusal = json.loads(second.stdout)
    assert second.returncode == 8
    assert f"pid {first.pid}" in refusal["why"]
    assert "`up`" in refusal["why"]
    assert first.returncode == 0, err


def test_a_second_up_that_waits_gets_its_turn(product: Product) -> None:
    first = product.start("up", "local")
    assert eventually(lambda: bool(product.engines()), 30)

    second = product("up", "local", "--lock-wait", "90")
    first.communicate(timeout=90)

    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert_whole(product, 2)
