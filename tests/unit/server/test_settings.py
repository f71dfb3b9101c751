from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import llmctl
import llmctl_server
from llmctl_server.settings import Settings, SettingsError, variables

BUNDLE = {"LLMCTL_MODEL": "/models/attention"}


def problems_of(**environment: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({**BUNDLE, **environment})
    return caught.value.problems


def test_only_the_bundle_must_be_named() -> None:
    settings = Settings.from_environment(BUNDLE)

    assert settings == Settings(model=Path("/models/attention"))
    assert (settings.host, settings.port, settings.max_body_bytes, settings.max_tokens) == (
        "127.0.0.1",
        8080,
        1 << 20,
        1000,
    )


def test_every_variable_is_read_into_its_field() -> None:
    environment = {
        "LLMCTL_HOST": "::1",
        "LLMCTL_PORT": "9000",
        "LLMCTL_MODEL_NAME": "mine",
        "LLMCTL_MODEL_FD": "7",
        "LLMCTL_MODEL_DIGEST": "sha256:" + "a" * 64,
        "LLMCTL_KEYS_FILE": "/keys.json",
        "LLMCTL_REQUEST_LOG": "/requests.db",
        "LLMCTL_REPLICA": "server-1",
        "LLMCTL_RELEASE": "r12",
        "LLMCTL_THREADS": "3",
        "LLMCTL_MAX_BODY_BYTES": "2048",
        "LLMCTL_MAX_TOKENS": "500",
        "LLMCTL_MAX_QUEUE": "20",
        "LLMCTL_MAX_TEXTS": "10",
        "LLMCTL_DRAIN_DELAY": "0.5",
        "LLMCTL_GRACE": "9",
        "LLMCTL_LOG_LEVEL": "DEBUG",
    }

    assert Settings.from_environment(environment) == Settings(
        host="::1",
        port=9000,
        model_name="mine",
        model_fd=7,
        model_digest="sha256:" + "a" * 64,
        keys_file=Path("/keys.json"),
        request_log=Path("/requests.db"),
        replica="server-1",
        release="r12",
        threads=3,
        max_body_bytes=2048,
        max_tokens=500,
        max_queue=20,
        max_texts=10,
        drain_delay=0.5,
        grace=9.0,
        log_level="debug",
    )
    assert {*environment, "LLMCTL_MODEL"} == {variable.name for variable in variables()}


def test_an_empty_variable_counts_as_absent() -> None:
    assert Settings.from_environment({**BUNDLE, "LLMCTL_PORT": "", "LLMCTL_KEYS_FILE": ""}) == Settings(
        model=Path("/models/attention")
    )


def test_all_problems_are_reported_at_once() -> None:
    problems = problems_of(
        LLMCTL_PORT="70000", LLMCTL_GRACE="soon", LLMCTL_MODEL_DIGEST="md5:1", LLMCTL_LOG_LEVEL="loud"
    )

    assert problems == (
        "LLMCTL_PORT=70000: must be between 0 and 65535",
        "LLMCTL_MODEL_DIGEST=md5:1: must be sha256: and 64 hex digits",
        "LLMCTL_GRACE=soon: must be a number of seconds",
        "LLMCTL_LOG_LEVEL=loud: must be one of debug, info, warning, error",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLMCTL_PORT", "80a"),
        ("LLMCTL_PORT", "-1"),
        ("LLMCTL_PORT", "٣"),
        ("LLMCTL_HOST", "my host"),
        ("LLMCTL_MODEL_NAME", "a\nb"),
        ("LLMCTL_MODEL_NAME", "-x"),
        ("LLMCTL_THREADS", "257"),
        ("LLMCTL_MAX_TOKENS", "0"),
        ("LLMCTL_GRACE", "nan"),
        ("LLMCTL_GRACE", "inf"),
        ("LLMCTL_DRAIN_DELAY", "-1"),
        ("LLMCTL_RELEASE", "a b"),
    ],
)
def test_a_value_that_makes_no_sense_is_named_with_its_variable(name: str, value: str) -> None:
    (problem,) = problems_of(**{name: value})

    assert problem.startswith(f"{name}=")
    assert "\n" not in problem


def test_a_bundle_must_be_named_once() -> None:
    with pytest.raises(SettingsError, match="LLMCTL_MODEL: set either this or LLMCTL_MODEL_FD"):
        Settings.from_environment({})
    assert problems_of(LLMCTL_MODEL_FD="3") == ("LLMCTL_MODEL: set either this or LLMCTL_MODEL_FD",)


def test_a_malformed_descriptor_is_reported_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"LLMCTL_MODEL_FD": "x"})

    assert caught.value.problems == ("LLMCTL_MODEL_FD=x: must be a whole number",)


def test_a_request_that_could_never_be_accepted_is_refused_at_the_start() -> None:
    (problem,) = problems_of(LLMCTL_MAX_TEXTS="20", LLMCTL_MAX_QUEUE="10")

    assert problem.startswith("LLMCTL_MAX_TEXTS=20: must not exceed LLMCTL_MAX_QUEUE=10")


def test_every_variable_is_described_for_the_reference_page() -> None:
    for variable in variables():
        assert variable.name.startswith("LLMCTL_")
        assert len(variable.description) > 15
        assert variable.description[0].isupper()


def test_the_settings_cost_only_the_standard_library() -> None:
    heavy = "{'onnxruntime', 'numpy', 'uvicorn', 'tokenizers', 'orjson', 'prometheus_client', 'torch', 'llmctl'}"
    code = f"import sys, llmctl_server.settings; print(sorted({heavy} & set(sys.modules)))"
    folder = Path(llmctl_server.__file__).parents[1]

    out = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True
    )

    assert out.stdout == "[]\n"


def test_the_server_has_the_version_of_the_distribution() -> None:
    assert llmctl_server.__version__ == llmctl.__version__
