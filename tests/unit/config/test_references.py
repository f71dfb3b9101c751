"""References are resolved late, checked like written values, and never printed."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmctl_stacks.config import Secret, load, resolve, show, show_yaml
from llmctl_stacks.config.references import names, substitute
from llmctl_stacks.errors import ConfigError

from .conftest import Write

PLANTED = "p1anted-value-that-must-not-be-seen"
API_KEY = "llmctl_" + "k" * 43


def problems_of(write: Write, stack: str, environ: dict[str, str]) -> list[str]:
    """What resolving a stack complains about."""
    with pytest.raises(ConfigError) as caught:
        resolve(load(write(stack), "prod"), environ)
    assert PLANTED not in str(caught.value)
    assert PLANTED not in str(caught.value.details)
    return [str(problem) for problem in caught.value.problems]


def test_resolved_values_have_the_type_of_their_key(write: Write) -> None:
    project = write(
        "scaling: {replicas: '${env:REPLICAS}'}\n"
        "protect: true\n"
        "gateway: {port: '${env:PORT}', timeout: '${env:SECONDS}s', rate_limits: [{rps: '${env:RPS}'}]}\n"
        "observability: {request_log: {enabled: '${env:LOG}'}}\n"
        "tags: {build: '${env:REPLICAS}', price: '$${env:X} ${env:PORT}'}\n"
    )
    environ = {"REPLICAS": "4", "PORT": "8080", "SECONDS": "5", "RPS": "0.5", "LOG": "false"}

    config = resolve(load(project, "prod"), environ).config

    assert config.scaling.replicas == 4
    assert config.gateway.port == 8080
    assert config.gateway.timeout.seconds == 5
    assert config.gateway.rate_limits[0].rps == 0.5
    assert config.observability.request_log.enabled is False
    assert dict(config.tags) == {"build": "4", "price": "${env:X} 8080"}


def test_every_missing_and_every_wrong_value_is_reported_at_once_and_none_is_shown(write: Write) -> None:
    stack = (
        "scaling:\n  replicas: ${env:N}\n"
        "server:\n  log_level: ${env:LEVEL}\n  threads: ${env:THREADS}\n"
        "  environment:\n    A: ${secret:A} ${env:B}\n    C: ${secret:EMPTY}\n"
        "gateway:\n  auth: ${env:AUTH}\n  host: ${env:HOST}\n"
        "  api_keys:\n    - name: a\n      value: ${secret:WEAK}\n"
    )
    environ = {"N": "65", "LEVEL": PLANTED, "AUTH": "none", "HOST": "0.0.0.0", "EMPTY": "", "WEAK": "short"}

    assert problems_of(write, stack, environ) == [
        "stacks/prod.yaml:5: server.threads: ${env:THREADS} is not set; export THREADS",
        "stacks/prod.yaml:7: server.environment.A: ${secret:A} is not set; export A",
        "stacks/prod.yaml:7: server.environment.A: ${env:B} is not set; export B",
        "stacks/prod.yaml:8: server.environment.C: ${secret:EMPTY} is empty; export EMPTY",
        "stacks/prod.yaml:14: gateway.api_keys[0].value: ${secret:WEAK} must have 24 to 256 letters, digits "
        "or . _ ~ + / = -; python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one",
        "stacks/prod.yaml:2: scaling.replicas: must be a whole number from 1 to 64; the value comes from ${env:N}",
        "stacks/prod.yaml:4: server.log_level: must be one of debug, info, warning, error; "
        "the value comes from ${env:LEVEL}",
        "stacks/prod.yaml:11: gateway.host: would let anyone in, as gateway.auth is none; "
        "set gateway.auth to api_key, or gateway.host to 127.0.0.1",
        "stacks/prod.yaml:12: gateway.api_keys: is not consumed while gateway.auth is none; "
        "remove it, or set gateway.auth to api_key",
    ]


def test_loading_needs_no_environment_and_keeps_references_as_written(write: Write) -> None:
    loaded = load(write("scaling: {replicas: '${env:N}'}\nserver: {environment: {T: '${secret:T}'}}\n"), "prod")

    assert str(loaded.config.scaling.replicas) == "${env:N}"
    assert show(loaded)["scaling"] == {"replicas": "${env:N}"}
    assert "T: ${secret:T}" in show_yaml(loaded)


def test_secrets_reach_only_the_one_who_reveals_them(write: Write) -> None:
    project = write(
        "server: {environment: {TOKEN: 'Bearer ${secret:TOKEN}', PLAIN: text}}\n"
        "gateway: {api_keys: [{name: default}, {name: ci, value: '${secret:CI}'}]}\n"
    )

    secrets = resolve(load(project, "prod"), {"TOKEN": PLANTED, "CI": API_KEY})

    assert secrets.environment() == {"TOKEN": f"Bearer {PLANTED}", "PLAIN": "text"}
    assert secrets.api_keys() == {"ci": API_KEY}
    assert set(secrets) == {"server.environment.TOKEN", "gateway.api_keys[1].value"}
    shown = f"{secrets!r} {secrets} {dict(secrets)} {secrets.config!r} {secrets.config.model_dump_json()}"
    assert PLANTED not in shown
    assert API_KEY not in shown


def test_two_api_keys_of_one_value_are_refused_since_they_tell_no_client_apart(write: Write) -> None:
    stack = "gateway:\n  api_keys:\n    - {name: a, value: '${secret:A}'}\n    - {name: b, value: '${secret:B}'}\n"

    assert problems_of(write, stack, {"A": API_KEY, "B": API_KEY}) == [
        "stacks/prod.yaml:4: gateway.api_keys[1].value: ${secret:B} is the same as gateway.api_keys[0].value; "
        "give each API key its own"
    ]


def test_every_printed_form_of_a_secret_is_masked() -> None:
    secret = Secret(PLANTED)

    assert f"{secret} {secret!r} {secret:>5} {[secret]}" == "*** Secret(***)   *** [Secret(***)]"
    assert copy.deepcopy(secret) == secret == Secret(PLANTED) != Secret("other")
    assert len({secret, Secret(PLANTED)}) == 1
    with pytest.raises(TypeError, match="not written to disk"):
        pickle.dumps(secret)


def test_the_fingerprint_does_not_depend_on_what_references_stand_for_or_how_units_are_written(
    write: Write,
) -> None:
    one = load(write("gateway: {timeout: 60s}\ntags: {a: '${env:A}'}\n"), "prod")
    same = load(write("# moved\ntags: {a: '${env:A}'}\nx-b: 1\ngateway: {timeout: 1m}\n"), "prod")
    other = load(write("gateway: {timeout: 60s}\ntags: {a: '${env:B}'}\n"), "prod")

    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert one.fingerprint.startswith("sha256:")
    assert len(one.fingerprint) == 71


class TestFileOfSecrets:
    STACK = (
        "secrets: {from: file, path: ../s.env}\n"
        "server:\n  environment:\n    A: ${secret:A}\n    B: ${secret:B}\n    E: ${env:E}\n"
    )

    def resolved(self, write: Write, text: str | bytes, mode: int = 0o600) -> dict[str, str]:
        project = write(self.STACK)
        path = project.root / "s.env"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return resolve(load(project, "prod"), {"E": "e", "A": "not from here"}).environment()

    def test_lines_quotes_and_comments_are_read(self, write: Write) -> None:
        text = "# tokens\n\nexport A = \"a # b='c'\"\nB=plain=text # note\nUNUSED='x'\r\n"

        assert self.resolved(write, text) == {"A": "a # b='c'", "B": "plain=text", "E": "e"}

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o601, 0o660])
    def test_a_file_that_others_can_read_is_refused(self, write: Write, mode: int) -> None:
        with pytest.raises(ConfigError) as caught:
            self.resolved(write, "A=a\nB=b\n", mode)

        assert [str(problem) for problem in caught.value.problems] == [
            f"s.env: can be read by others (mode {mode:04o}); chmod 600 s.env"
        ]

    def test_a_missing_file_is_reported_once_for_all_its_secrets(self, write: Write) -> None:
        with pytest.raises(ConfigError) as caught:
            resolve(load(write(self.STACK), "prod"), {})

        assert [str(problem) for problem in caught.value.problems] == [
            "s.env: cannot be read: No such file or directory; write it, then chmod 600 s.env",
            "stacks/prod.yaml:6: server.environment.E: ${env:E} is not set; export E",
        ]

    def test_bad_lines_are_named_by_number_and_their_text_is_not_shown(self, write: Write) -> None:
        with pytest.raises(ConfigError) as caught:
            self.resolved(write, f"A=a\n{PLANTED}\nB='{PLANTED}\nA={PLANTED}\n")

        assert [str(problem) for problem in caught.value.problems] == [
            "s.env:2: is no line of the form NAME=value",
            "s.env:3: is no line of the form NAME=value",
            "s.env:4: A: duplicate name, also on line 1; remove one of the two",
        ]

    def test_a_name_that_is_not_in_the_file_is_to_be_added_there(self, write: Write) -> None:
        with pytest.raises(ConfigError) as caught:
            self.resolved(write, "A=a\n")

        assert [str(problem) for problem in caught.value.problems] == [
            "stacks/prod.yaml:5: server.environment.B: ${secret:B} is not set; add it to s.env"
        ]

    @pytest.mark.parametrize(
        ("content", "message"), [(b"A=\xff\n", "is not UTF-8 text"), (b"#" * 300_000, "is larger than 256 KiB")]
    )
    def test_a_file_that_cannot_be_a_list_of_secrets_is_refused(
        self, write: Write, content: bytes, message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            self.resolved(write, content)

    def test_a_folder_in_its_place_is_refused(self, write: Write) -> None:
        project = write(self.STACK)
        (project.root / "s.env").mkdir(mode=0o700)

        with pytest.raises(ConfigError, match="is no ordinary file"):
            resolve(load(project, "prod"), {"E": ""})

    def test_no_file_is_needed_when_no_secret_is_named(self, write: Write) -> None:
        project = write("secrets: {from: file, path: nowhere.env}\ntags: {a: '${env:A}'}\n")

        assert dict(resolve(load(project, "prod"), {"A": "1"}).config.tags) == {"a": "1"}


def test_a_relative_path_belongs_to_the_file_that_says_so(write: Write, tmp_path: Path) -> None:
    project = write(
        "secrets: {from: file, path: s.env}\n", base="name: demo\nmodels: [{name: m, source: file://m}]\n"
    )
    loaded = load(project, "prod")

    assert loaded.path("secrets.path", "s.env") == tmp_path / "stacks" / "s.env"
    assert loaded.path("models[0].source", "file://m") == tmp_path / "m"
    assert loaded.path("models[0].source", "file:///abs/m") == Path("/abs/m")


@given(st.text(alphabet="${}envsecret:X_", max_size=20))
def test_a_template_is_broken_or_is_replaced_without_rest(template: str) -> None:
    try:
        found = names(template)
    except ValueError:
        return
    replaced = substitute(template, lambda name: f"<{name.kind}>")

    assert replaced.count("<") == len(found)
    assert "${" not in replaced.replace("${", "", template.count("$${"))
