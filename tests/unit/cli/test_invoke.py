"""`invoke`: what is sent, and to which stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmctl_stacks.results import Answer


@pytest.mark.parametrize(
    ("arguments", "stack", "body"),
    [
        (["so good"], None, {"text": "so good"}),
        (["dev", "so good"], "dev", {"text": "so good"}),
        (["dev", "local"], "dev", {"text": "local"}),
        (["--data", '{"texts": ["a"]}'], None, {"texts": ["a"]}),
        (["dev", "--data", '{"text": "é"}'], "dev", {"text": "é"}),
        (["dev", "-d", "@body.json"], "dev", {"text": "from a file"}),
        (["-d", "-"], None, {"text": "from stdin"}),
    ],
)
def test_the_body_and_the_stack_come_from_the_arguments(
    llmctl: Any, fake: Any, arguments: list[str], stack: str | None, body: object
) -> None:
    Path("body.json").write_text('{"text": "from a file"}')

    result = llmctl("invoke", *arguments, input='{"text": "from stdin"}')

    assert result.exit_code == 0
    assert json.loads(fake.sent[0]) == body
    assert fake.asked[-1][1].stack == stack


def test_text_that_is_not_ascii_is_sent_as_utf8(llmctl: Any, fake: Any) -> None:
    llmctl("invoke", "très bien")

    assert fake.sent == ['{"text": "très bien"}'.encode()]


@pytest.mark.parametrize(
    ("arguments", "what", "fix"),
    [
        ([], "nothing to send", 'llmctl invoke "some text"'),
        (["dev"], "nothing to send", 'llmctl invoke dev "some text"'),
        (["dev", "text", "-d", "{}"], "both TEXT and `--data` are given", 'llmctl invoke "some text"'),
        (["-d", "{"], "the value of `--data` is not JSON", 'llmctl invoke --data \'{"text": "…"}\''),
        (["-d", "@missing.json"], "cannot read `missing.json`", ""),
        (["-d", "@bad.json"], "`bad.json` is not JSON", 'llmctl invoke --data \'{"text": "…"}\''),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_sent(
    llmctl: Any, fake: Any, arguments: list[str], what: str, fix: str
) -> None:
    Path("bad.json").write_bytes(b"\xff")

    result = llmctl("invoke", *arguments, "-o", "json")

    document = json.loads(result.stdout)
    assert (document["what"], document["fix"], result.exit_code, fake.sent) == (what, fix, 2, [])


def test_an_answer_with_an_error_status_is_shown_and_exits_with_1(llmctl: Any, fake: Any) -> None:
    fake.reply = Answer(429, {"error": "slow down"}, None, 3.0)

    result = llmctl("invoke", "hello")

    assert json.loads(result.stdout) == {"error": "slow down"}
    assert (result.stderr, result.exit_code) == ("status 429 in 3 ms\n", 1)


def test_an_answer_that_is_not_json_is_shown_as_harmless_text(llmctl: Any, fake: Any) -> None:
    fake.reply = Answer(502, "bad \x1b[31mgateway", None, 3.0)

    assert llmctl("invoke", "hello").stdout == "bad \\x1b[31mgateway\n"


def test_its_timeout_reaches_the_request(llmctl: Any, fake: Any) -> None:
    llmctl("invoke", "hello", "--timeout", "5s")

    assert fake.asked[-1][1].timeout == 5.0
