"""From a fresh project to an answer, and away again."""

from __future__ import annotations

import json
import shlex
import subprocess

from support.load import Load
from support.product import Product


def test_up_prints_a_curl_line_that_answers(product: Product) -> None:
    done = product("up")

    line = next(line for line in done.stdout.splitlines() if line.strip().startswith("curl "))
    asked = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=30, check=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(asked.stdout)["label"] in ("positive", "negative")
    assert product.key not in done.stdout + done.stderr
    assert shlex.split(line)[0] == "curl"


def test_an_unchanged_up_changes_nothing_and_keeps_port_and_key(product: Product) -> None:
    first = product.up()
    key = product.key

    second = product.up()

    assert {change["operation"] for change in second["changes"]} == {"same"}
    assert second["endpoint"] == first["endpoint"]
    assert product.key == key


def test_preview_says_what_up_would_do_and_does_nothing(product: Product) -> None:
    before = product.good("preview")
    nothing = product.processes()
    product.up()
    after = product.good("preview")
    product.configure(scaling={"replicas": 1})
    smaller = product.good("preview")

    assert {change["operation"] for change in before["changes"]} == {"create"}
    assert nothing == []
    assert {change["operation"] for change in after["changes"]} == {"same"}
    assert [c["name"] for c in smaller["changes"] if c["operation"] != "same"] == ["servers"]
    assert product("preview", "--exit-code").returncode == 10


def test_down_leaves_no_process_port_or_socket_and_up_answers_again(product: Product) -> None:
    product.up()

    down = product.good("down", "--yes")
    left = (product.processes(), product.listening(), list(product.home.rglob("*.sock")))
    again = product.up()
    everything = product.good("down", "--all", "--yes")

    assert down["leftovers"] == []
    assert left == ([], set(), [])
    assert again["first_answer"]["label"] == "positive"
    assert everything["kept"] == []


def test_the_key_survives_down_and_goes_with_all(product: Product) -> None:
    product.up()
    key = product.key
    product.good("down", "--yes")
    kept = product.key
    product.good("down", "--all", "--yes")

    assert kept == key
    assert not product.root.exists()


def test_replicas_and_settings_change_in_place_without_a_failed_request(product: Product) -> None:
    update = product.up()
    port = int(update["endpoint"]["url"].rsplit(":", 1)[1])

    with Load(port, product.key, clients=16, limit=100) as load:
        for settings in ({"replicas": 3}, {"replicas": 1}):
            product.configure(scaling=settings)
            product.up()
        product.configure(
            scaling={"replicas": 2}, server={"max_queue": 300}, gateway={"timeout": "20s", "max_body": "2MiB"}
        )
        changed = product.up()

    operations = {change["name"]: change["operation"] for change in changed["changes"]}
    assert load.tally.answered > 100
    assert load.tally.failed == 0, load.tally
    assert set(load.tally.statuses) == {200}
    assert operations["servers"] == "update"
    assert operations["gateway"] == "update"
