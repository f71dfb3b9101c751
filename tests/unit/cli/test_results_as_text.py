"""What each verb prints for people: results on stdout, narration on stderr, an exit code."""

from __future__ import annotations

import re
from typing import Any

import pytest

from llmctl_stacks import results

UP = """\
stack `local` is up: 1 created, 1 updated in 12s
healed: server-1-0 had crashed and was started again

endpoint  http://127.0.0.1:8080
model     attention
api key   /home/ada/keys/default
answer    {"label": "positive", "score": 0.98}

curl -s http://127.0.0.1:8080/v1/classify -H "Authorization: Bearer $(cat /home/ada/keys/default)" \
-H 'content-type: application/json' -d '{"text": "It'"'"'s a joy"}'
"""
STATUS = """\
stack      local
target     local
state      degraded
endpoint   http://127.0.0.1:8080
model      attention
api key    /home/ada/keys/default
resources  8
locked by  ada pid 7
pending    create gateway

component  name        state    up     restarts  pid  address
gateway    gateway     ready    1h02m  0         11   127.0.0.1:8080
server     server-1-0  crashed  -      3         -    -

server-1-0:
  line one
  out of \\x1b[31mmemory
"""
DOCTOR = """\
ok       python  3.11.7
warning  disk    1 GB free
  next: free some space
failed   engine  none
  next: llmctl doctor --fix
"""
SERVE = "serve\n  Gateway `gateway` updated (port) in 0.5s\nwarning: gateway: the port is taken\n"

CASES: dict[str, tuple[str, str, int]] = {
    "init": ("llmctl.yaml\nstacks/local.yaml\n", "next: llmctl up\n", 0),
    "init shop --name shop": ("shop/llmctl.yaml\nshop/stacks/local.yaml\n", "next: cd shop && llmctl up\n", 0),
    "up": (UP, f"stack `local`\n{SERVE}", 0),
    "up local": (UP, SERVE, 0),
    "preview dev": (
        "stack `dev` on target `local`: 1 to create, 1 to update\n"
        "  +  create  serve  Servers  servers\n"
        "  ~  update  serve  Gateway  gateway  port\n"
        "\n"
        "for requests in flight:\n"
        "  gateway: requests wait up to 1 s\n",
        "",
        0,
    ),
    "preview dev --verbose": (
        "stack `dev` on target `local`: 1 to create, 1 to update\n"
        "     same    base   KmsKey   data\n"
        "  +  create  serve  Servers  servers\n"
        "  ~  update  serve  Gateway  gateway  port\n"
        "\n"
        "for requests in flight:\n"
        "  gateway: requests wait up to 1 s\n",
        "",
        0,
    ),
    "preview local": ("stack `local` on target `local`: nothing to change\n", "", 0),
    "preview dev --exit-code -q": (
        "stack `dev` on target `local`: 1 to create, 1 to update\n"
        "  +  create  serve  Servers  servers\n"
        "  ~  update  serve  Gateway  gateway  port\n"
        "\n"
        "for requests in flight:\n"
        "  gateway: requests wait up to 1 s\n",
        "",
        10,
    ),
    "preview local --exit-code": ("stack `local` on target `local`: nothing to change\n", "", 0),
    "down local --yes": ("stack `local` is down: 1 deleted in 3.0s\nkept: data, models\n", "", 0),
    "down local --all --yes": ("stack `local` is down: 1 deleted in 3.0s\n", "", 0),
    "status": (STATUS, "", 0),
    "status dev": ("stack      dev\ntarget     local\nstate      absent\nresources  0\n", "", 0),
    "outputs": ("url       http://127.0.0.1:8080\nreplicas  2\napiKey    ***\n", "", 0),
    "logs": ("server-1-0 | ready on port 9001\ngateway | GET /\\x1b]0;title\\x07 200\n", "", 0),
    "invoke hello": (
        '{\n  "label": "positive",\n  "score": 0.98\n}\n',
        "status 200 in 12 ms, request `r-1`\n",
        0,
    ),
    "refresh local": (
        "stack `local`: drift in 1 resource, now recorded\n  changed  serve  Gateway  gateway  port, url\n",
        "",
        0,
    ),
    "drift local": ("stack `local`: drift in 1 resource\n  changed  serve  Gateway  gateway  port, url\n", "", 0),
    "drift local --exit-code": (
        "stack `local`: drift in 1 resource\n  changed  serve  Gateway  gateway  port, url\n",
        "",
        10,
    ),
    "drift dev --exit-code": ("stack `dev`: no drift\n", "", 0),
    "recover dev": ("stack `dev`: nothing to mend\n", "", 0),
    "lock status": ("stack `local` is not locked\n", "", 0),
    "lock release dev": ("stack `dev` is not locked\n", "", 0),
    "doctor": (DOCTOR, "", 3),
    "doctor --fix": (
        "ok       python  3.11.7\nwarning  disk    1 GB free\n  next: free some space\n"
        "ok       engine  3.259.0\nfixed: installed the engine\n",
        "",
        0,
    ),
    "config validate": ("valid: `dev`, `local`\n", "", 0),
    "config validate dev": ("valid: `dev`\n", "", 0),
}


@pytest.mark.parametrize("line", CASES)
def test_a_verb_prints_its_result_and_its_narration(llmctl: Any, fake: Any, line: str) -> None:
    fake.running.add("local")

    result = llmctl(*line.split())

    assert (result.stdout, result.stderr, result.exit_code) == CASES[line]


def test_a_held_lock_names_its_owner_verb_and_age(llmctl: Any, fake: Any) -> None:
    fake.held = True

    result = llmctl("lock", "status")

    assert result.stdout == (
        "stack `local` is locked by ada@box pid 7 running `llmctl up`, 1m01s old; the owner no longer lives\n"
    )


def test_recover_tells_what_it_mended_and_then_has_nothing_to_do(llmctl: Any, fake: Any) -> None:
    fake.held = True

    first, second = llmctl("recover", "dev"), llmctl("recover", "dev")

    assert first.stdout == "stack `dev`:\n  dropped the lock of a dead `up`\n"
    assert second.stdout == "stack `dev`: nothing to mend\n"


def test_down_exits_with_11_and_names_what_is_left(llmctl: Any, fake: Any) -> None:
    fake.clean = False

    result = llmctl("down", "local", "--yes")

    assert result.exit_code == 11
    assert result.stdout.endswith("ended: envoy pid 77, which nothing recorded\nleft over: port 8080\n")


def test_up_then_down_changes_what_status_says(llmctl: Any) -> None:
    states = []
    for line in ("status dev", "up dev", "status dev", "down dev --yes", "status dev"):
        result = llmctl(*line.split())
        states += [row.split()[1] for row in result.stdout.splitlines() if row.startswith("state")]

    assert states == ["absent", "degraded", "absent"]


def test_config_show_is_yaml_and_says_where_a_value_is_from_when_asked(llmctl: Any) -> None:
    plain = llmctl("config", "show", "dev")
    origins = llmctl("config", "show", "dev", "--origin")

    assert "  timeout: 20s\n" in plain.stdout
    assert plain.stdout.startswith("schema: 1\nname: demo\n")
    assert re.search(r"^  timeout: 20s +# stacks/dev.yaml:2$", origins.stdout, re.MULTILINE)
    assert (plain.stderr, plain.exit_code) == ("", 0)


def test_config_explain_tells_the_facts_of_a_key(llmctl: Any) -> None:
    result = llmctl("config", "explain", "gateway.timeout")

    assert result.stdout.startswith("gateway.timeout\n  ")
    assert "  default   30s\n" in result.stdout
    assert "  targets   local, kubernetes, aws\n" in result.stdout


def test_config_problems_come_all_at_once_with_their_lines(llmctl: Any, isolation: Any) -> None:
    (isolation / "stacks" / "dev.yaml").write_text("gatway:\n  timeout: 20s\ngateway:\n  timeout: 20\n")

    result = llmctl("config", "validate")

    assert (result.stdout, result.exit_code) == ("", 2)
    head, first, second, last = result.stderr.splitlines()
    assert head == "error: configuration has 2 problems"
    assert first.startswith("  stacks/dev.yaml:1: gatway: ")
    assert second.startswith("  stacks/dev.yaml:4: gateway.timeout: ")
    assert last == "next: edit the lines above; `llmctl config explain KEY` describes a key"


def test_version_says_what_the_engine_must_be_even_without_one(llmctl: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    result = llmctl("version")

    assert result.stdout.splitlines()[2:4] == [
        "engine    pulumi 3.259.0",
        "          not here yet; `llmctl doctor --fix` gets it",
    ]
    assert llmctl("--version").stdout == "llmctl 0.1.0\n"


def test_the_curl_line_needs_no_key_where_the_gateway_asks_for_none() -> None:
    from llmctl.render import curl

    endpoint = results.Endpoint("http://127.0.0.1:1", "m", None, "/v1/classify", "{}")

    assert curl(endpoint) == ("curl -s http://127.0.0.1:1/v1/classify -H 'content-type: application/json' -d '{}'")
