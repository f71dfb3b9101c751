"""Every kind of bad input has one clear message, with file and line."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from llmctl_stacks.config import find_project, load, validate
from llmctl_stacks.errors import ConfigError, ExitCode, NotFoundError, UsageError

from .conftest import Write

STACK = {
    "unknown key": (
        "gateway:\n  timout: 5s\n",
        "stacks/prod.yaml:2: gateway.timout: unknown key; did you mean `timeout`?",
    ),
    "unknown key of another section": (
        "replicas: 3\n",
        "stacks/prod.yaml:1: replicas: unknown key; `replicas` belongs in `scaling.replicas`",
    ),
    "unknown key like no other": ("zzz: 3\n", "stacks/prod.yaml:1: zzz: unknown key"),
    "key in another case": (
        "Gateway: {}\n",
        "stacks/prod.yaml:1: Gateway: unknown key; did you mean `gateway`?",
    ),
    "number out of range": (
        "gateway:\n  rate_limits:\n    - rps: 0\n",
        "stacks/prod.yaml:3: gateway.rate_limits[0].rps: must be > 0",
    ),
    "whole number out of range": (
        "scaling: {replicas: 65}\n",
        "stacks/prod.yaml:1: scaling.replicas: must be a whole number from 1 to 64",
    ),
    "float for a whole number": (
        "scaling: {replicas: 2.0}\n",
        "stacks/prod.yaml:1: scaling.replicas: must be a whole number from 1 to 64, not 2.0",
    ),
    "text for a whole number": (
        "scaling: {replicas: two}\n",
        'stacks/prod.yaml:1: scaling.replicas: must be a whole number from 1 to 64, not the text "two"',
    ),
    "quoted number": (
        'scaling: {replicas: "2"}\n',
        'stacks/prod.yaml:1: scaling.replicas: must be a whole number from 1 to 64, not the text "2"',
    ),
    "boolean for a whole number": (
        "scaling: {replicas: true}\n",
        "stacks/prod.yaml:1: scaling.replicas: must be a whole number from 1 to 64, not true",
    ),
    "octal": (
        "scaling: {replicas: 010}\n",
        'stacks/prod.yaml:1: scaling.replicas: must be a whole number from 1 to 64, not the text "010"',
    ),
    "not a number": (
        "gateway: {rate_limits: [{rps: .nan}]}\n",
        "stacks/prod.yaml:1: gateway.rate_limits[0].rps: must be a finite number, not .nan",
    ),
    "infinity": (
        "gateway: {rate_limits: [{rps: 1e999}]}\n",
        "stacks/prod.yaml:1: gateway.rate_limits[0].rps: must be a finite number, not 1e999",
    ),
    "nan for a whole number": (
        "scaling: {replicas: .nan}\n",
        "stacks/prod.yaml:1: scaling.replicas: must be a whole number from 1 to 64, not .nan",
    ),
    "yes": (
        "protect: yes\n",
        'stacks/prod.yaml:1: protect: must be true or false, not the text "yes"; write true',
    ),
    "off": (
        "observability: {request_log: {enabled: off}}\n",
        "stacks/prod.yaml:1: observability.request_log.enabled: must be true or false, "
        'not the text "off"; write false',
    ),
    "choice": (
        "gateway: {auth: api-key}\n",
        "stacks/prod.yaml:1: gateway.auth: must be one of api_key, none, "
        'but is the text "api-key"; did you mean `api_key`?',
    ),
    "another schema": (
        "schema: 2\n",
        "stacks/prod.yaml:1: schema: must be 1, the version of the format that this llmctl reads",
    ),
    "duration without a unit": (
        "gateway: {timeout: 30}\n",
        "stacks/prod.yaml:1: gateway.timeout: must be a duration with its unit, such as 500ms, 30s, 10m or 14d",
    ),
    "duration with a strange unit": (
        "gateway: {timeout: 30sec}\n",
        "stacks/prod.yaml:1: gateway.timeout: has the unknown unit sec; units are ms, s, m, h, d",
    ),
    "duration out of range": (
        "gateway: {timeout: 16m}\n",
        "stacks/prod.yaml:1: gateway.timeout: must be from 1s to 15m",
    ),
    "part of a day": (
        "observability: {request_log: {retention: 36h}}\n",
        "stacks/prod.yaml:1: observability.request_log.retention: must be a whole number of days, such as 14d",
    ),
    "size in lower case": (
        "gateway: {max_body: 10mib}\n",
        "stacks/prod.yaml:1: gateway.max_body: has the unknown unit mib; write MiB",
    ),
    "list for a mapping": (
        "gateway:\n  - host\n",
        "stacks/prod.yaml:1: gateway: must be a mapping of keys, not a list",
    ),
    "value for a mapping": (
        "gateway: open\n",
        "stacks/prod.yaml:1: gateway: must be a mapping of keys, not a single value",
    ),
    "mapping for a list": (
        "models:\n  name: attention\n",
        "stacks/prod.yaml:1: models: must be a list, each entry on its own line after `- `, not a mapping",
    ),
    "mapping for a value": (
        "scaling:\n  replicas:\n    min: 1\n",
        "stacks/prod.yaml:2: scaling.replicas: must be a whole number from 1 to 64, not a mapping",
    ),
    "value for an entry": (
        "models: [attention]\n",
        "stacks/prod.yaml:1: models[0]: must be a mapping of keys, not a single value",
    ),
    "list in a mapping with free keys": (
        "tags: {team: [a, b]}\n",
        "stacks/prod.yaml:1: tags.team: must be text, not a list",
    ),
    "number in a mapping with free keys": (
        "tags:\n  cost-center: 42\n",
        'stacks/prod.yaml:2: tags.cost-center: must be text of at most 256 characters; put it in quotes: "42"',
    ),
    "no value": (
        "scaling:\n  replicas:\n",
        "stacks/prod.yaml:2: scaling.replicas: has no value; remove the line, or write null for the default",
    ),
    "no list": (
        "gateway:\n  rate_limits:\n",
        "stacks/prod.yaml:2: gateway.rate_limits: has no value; "
        "write [] for an empty list, remove the line, or write null for the default",
    ),
    "missing in an entry": (
        "gateway:\n  rate_limits:\n    - burst: 5\n",
        "stacks/prod.yaml:3: gateway.rate_limits[0].rps: is required; add `rps: 50`",
    ),
    "duplicate key": (
        "scaling:\n  replicas: 2\n  replicas: 3\n",
        "stacks/prod.yaml:3: scaling.replicas: duplicate key, also on line 2; remove one of the two",
    ),
    "duplicate section": (
        "server: {}\nscaling: {}\nserver: {threads: 2}\n",
        "stacks/prod.yaml:3: server: duplicate key, also on line 1; remove one of the two",
    ),
    "number as a key": (
        "tags:\n  1: a\n",
        "stacks/prod.yaml:2: tags: the key 1 must be text; put it in quotes",
    ),
    "list as a key": ("? [a]\n: b\n", "stacks/prod.yaml:1: a key must be text"),
    "tag": (
        "scaling: {replicas: !!int 2}\n",
        "stacks/prod.yaml:1: scaling.replicas: has the tag !!int, which is not supported",
    ),
    "tag that runs code elsewhere": (
        "tags: !!python/object/apply:os.system [ls]\n",
        "stacks/prod.yaml:1: tags: has the tag !!python/object/apply:os.system, which is not supported",
    ),
    "unknown engine on local": (
        "models: [{name: attention, engine: vllm, source: file://x}]\n",
        "stacks/prod.yaml:1: models[0].engine: "
        "the target `local` does not serve the engine `vllm`, only `attention`",
    ),
    "key of another target": (
        "target: local\naws:\n  account: 1\n",
        "stacks/prod.yaml:2: aws: the target `local` does not consume it, only `aws`; remove it here",
    ),
    "second model": (
        "models: [{name: one}, {name: two}]\n",
        "stacks/prod.yaml:1: models[1]: 'two' is a second model; one entry is served for now; "
        "to change it in a stack file, use its name `one`",
    ),
    "open to the network": (
        "gateway: {host: 0.0.0.0, auth: none}\n",
        "stacks/prod.yaml:1: gateway.host: would let anyone in, as gateway.auth is none; "
        "set gateway.auth to api_key, or gateway.host to 127.0.0.1",
    ),
    "api keys that nobody asks for": (
        "gateway: {auth: none, api_keys: [{name: a}]}\n",
        "stacks/prod.yaml:1: gateway.api_keys: is not consumed while gateway.auth is none; "
        "remove it, or set gateway.auth to api_key",
    ),
    "no api key": (
        "gateway: {api_keys: []}\n",
        "stacks/prod.yaml:1: gateway.api_keys: needs an entry, as gateway.auth is api_key; add `- name: default`",
    ),
    "secret written out": (
        "gateway: {api_keys: [{name: a, value: hunter2}]}\n",
        "stacks/prod.yaml:1: gateway.api_keys[0].value: must not be written here; name it: ${secret:X}",
    ),
    "secret in part": (
        'gateway: {api_keys: [{name: a, value: "x${secret:X}"}]}\n',
        "stacks/prod.yaml:1: gateway.api_keys[0].value: must not be written here; name it: ${secret:X}",
    ),
    "limit of no key": (
        "gateway: {rate_limits: [{key: defualt, rps: 1}]}\n",
        "stacks/prod.yaml:1: gateway.rate_limits[0].key: no API key is named 'defualt'; did you mean `default`?",
    ),
    "same limit twice": (
        "gateway:\n  rate_limits:\n    - rps: 1\n    - rps: 2\n      key: '*'\n",
        "stacks/prod.yaml:5: gateway.rate_limits[1].key: '*' is used before, in entry 0",
    ),
    "grace within drain": (
        "server: {drain_delay: 30s, grace: 30s}\n",
        "stacks/prod.yaml:1: server.grace: must be longer than server.drain_delay (30s)",
    ),
    "request larger than the queue": (
        "server: {max_texts: 8, max_queue: 4}\n",
        "stacks/prod.yaml:1: server.max_texts: must be at most server.max_queue (4), or a full request never fits",
    ),
    "variable of llmctl": (
        "server: {environment: {LLMCTL_PORT: '1'}}\n",
        "stacks/prod.yaml:1: server.environment.LLMCTL_PORT: is set by llmctl itself; use the keys of `server`",
    ),
    "no name of a variable": (
        "server: {environment: {'A-B': '1'}}\n",
        "stacks/prod.yaml:1: server.environment.A-B: is no name of an environment variable; "
        "use letters, digits and underscores",
    ),
    "no file of secrets": (
        "secrets: {from: file}\n",
        "stacks/prod.yaml:1: secrets.path: is required with from: file; add `path: secrets.env`",
    ),
    "file of secrets in vain": (
        "secrets: {path: x.env}\n",
        "stacks/prod.yaml:1: secrets.path: is not consumed with from: env; set secrets.from to file, or remove it",
    ),
    "broken reference": (
        "server: {log_level: '${env:}'}\n",
        "stacks/prod.yaml:1: server.log_level: has a broken reference; "
        "write ${env:NAME} or ${secret:NAME}, or $${ for a literal ${",
    ),
    "secret where none goes": (
        "server: {log_level: '${secret:X}'}\n",
        "stacks/prod.yaml:1: server.log_level: takes no secret: "
        "${secret:X} is for `server.environment` and `gateway.api_keys[].value`",
    ),
    "reference in a name": (
        "name: ${env:X}\n",
        "stacks/prod.yaml:1: name: must be written out: references are not allowed here",
    ),
    "aws without an account": (
        "target: aws\nnodes: [{name: cpu}]\n",
        "stacks/prod.yaml:1: aws: is required by the target `aws`; add `account` and `region`",
    ),
    "aws without nodes": (
        'target: aws\naws: {account: "123456789012", region: us-east-1}\n',
        "stacks/prod.yaml:1: nodes: is required by the target `aws`; add `- name: cpu`",
    ),
    "account as a number": (
        "target: aws\nnodes: [{name: cpu}]\naws: {account: 123456789012, region: us-east-1}\n",
        'stacks/prod.yaml:3: aws.account: must be an AWS account of 12 digits in quotes, such as "123456789012"; '
        'put it in quotes: "123456789012"',
    ),
    "public network": (
        'target: aws\nnodes: [{name: cpu}]\naws: {account: "123456789012", region: us-east-1}\n'
        "network: {cidr: 8.8.0.0/16}\n",
        "stacks/prod.yaml:4: network.cidr: must be a private IPv4 network from /16 to /20, such as 10.20.0.0/16",
    ),
    "fewer nodes than always run": (
        'target: aws\nnodes: [{name: cpu, min: 3, max: 2}]\naws: {account: "123456789012", region: us-east-1}\n',
        "stacks/prod.yaml:2: nodes[0].min: must be at most max, which is 2",
    ),
    "kubernetes without a registry": (
        "target: kubernetes\n",
        "stacks/prod.yaml:1: kubernetes.registry: is required by the target `kubernetes`; "
        "add `registry: localhost:5001` or another that the nodes can pull from",
    ),
    "no model": ("models: []\n", "stacks/prod.yaml:1: models: needs a model; add `- name: attention`"),
    "bundle of another engine": (
        "target: kubernetes\nkubernetes: {registry: localhost:5001}\nmodels: [{name: m, engine: vllm}]\n",
        "stacks/prod.yaml:3: models[0].source: is a bundle for the engine `attention`, not `vllm`; "
        "name one with file://",
    ),
    "network with host bits": (
        'target: aws\nnodes: [{name: cpu}]\naws: {account: "123456789012", region: us-east-1}\n'
        "network: {cidr: 10.20.1.0/16}\n",
        "stacks/prod.yaml:4: network.cidr: must be a private IPv4 network from /16 to /20, such as 10.20.0.0/16",
    ),
    "too many entries": (
        "gateway: {rate_limits: [" + "{rps: 1}, " * 1001 + "]}\n",
        "stacks/prod.yaml:1: gateway.rate_limits: must have at most 1000 entries",
    ),
    "free key without a value": (
        "tags:\n  team:\n",
        'stacks/prod.yaml:2: tags.team: has no value; write "" for an empty text, or remove the line',
    ),
    "file that is empty": ("", "stacks/prod.yaml: is empty; a mapping of keys is expected"),
    "file of comments": ("# nothing\n", "stacks/prod.yaml: is empty; a mapping of keys is expected"),
    "file with a list": ("- a\n", "stacks/prod.yaml:1: holds a list; a mapping of keys is expected"),
    "file with a value": ("\nhello\n", "stacks/prod.yaml:2: holds a single value; a mapping of keys is expected"),
    "second document": (
        "target: local\n---\ntarget: aws\n",
        "stacks/prod.yaml:2: holds a second document (`---`); one is expected",
    ),
    "tab": ("scaling:\n\treplicas: 2\n", "stacks/prod.yaml:2: holds a tab; YAML is indented with spaces"),
    "unknown anchor": (
        "scaling: *big\n",
        "stacks/prod.yaml:1: uses the alias *big, but no anchor of that name is above it",
    ),
    "alias of itself": (
        "tags: &t\n  team: *t\n",
        "stacks/prod.yaml:1: tags.team: an alias refers to the value that holds it",
    ),
    "unclosed bracket": (
        "tags: {team: ml\nserver: {}\n",
        "stacks/prod.yaml:2: not valid YAML: expected ',' or '}', but got ':' while parsing a flow mapping",
    ),
    "merge of no mapping": (
        "x-a: &a [1]\nserver:\n  <<: *a\n",
        "stacks/prod.yaml:1: server: `<<` takes a mapping, such as *defaults",
    ),
    "not UTF-8": (b"# ok\ntags: {a: \xff}\n", "stacks/prod.yaml:2: is not UTF-8 text"),
    "control character": (
        "tags:\n  a: \x07\n",
        "stacks/prod.yaml:2: holds the character U+0007, which YAML does not allow",
    ),
    "huge file": ("# x\n" * 70_000, "stacks/prod.yaml: is larger than 256 KiB"),
    "deep nesting": ("x-a: " + "[" * 5000, "stacks/prod.yaml:1: not valid YAML: nested deeper than 32 levels"),
}


@pytest.mark.parametrize("case", STACK)
def test_bad_input_is_one_problem_with_file_and_line(case: str, write: Write) -> None:
    content, expected = STACK[case]

    with pytest.raises(ConfigError) as caught:
        load(write(content), "prod")

    assert [str(problem) for problem in caught.value.problems] == [expected]
    assert caught.value.exit_code is ExitCode.USAGE


def test_aliases_that_expand_without_bound_are_refused_quickly(write: Write) -> None:
    levels = "".join(f"x-{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    project = write("x-0: &l0 lol\n" + levels)
    began = time.monotonic()

    (problem,) = validate(project, "prod")

    assert "aliases expand to more than 1,000,000 characters" in problem.message
    assert time.monotonic() - began < 5


def test_a_file_of_nothing_but_unknown_keys_is_checked_quickly(write: Write) -> None:
    project = write("".join(f"unknown_key_number_{n}: 1\n" for n in range(5000)))
    began = time.monotonic()

    problems = validate(project, "prod")

    assert len(problems) == 5000
    assert time.monotonic() - began < 10


def test_every_problem_of_both_files_is_reported_at_once_in_the_order_of_lines(write: Write) -> None:
    project = write(
        "target: local\nscaling:\n  replicas: 0\n  replica: 1\nprotect: yes\n"
        "server: {grace: 1s, drain_delay: 2s}\n",
        base="name: Demo\ngateway:\n  auth: none\n  host: 0.0.0.0\n  port: 0\n",
    )

    assert [str(problem) for problem in validate(project, "prod")] == [
        "llmctl.yaml:1: name: must be a name of 1 to 40 lower-case letters, digits and dashes, first a letter",
        "llmctl.yaml:4: gateway.host: would let anyone in, as gateway.auth is none; "
        "set gateway.auth to api_key, or gateway.host to 127.0.0.1",
        "llmctl.yaml:5: gateway.port: must be auto or a whole number from 1 to 65535",
        "stacks/prod.yaml:3: scaling.replicas: must be a whole number from 1 to 64",
        "stacks/prod.yaml:4: scaling.replica: unknown key; did you mean `replicas`?",
        'stacks/prod.yaml:5: protect: must be true or false, not the text "yes"; write true',
        "stacks/prod.yaml:6: server.grace: must be longer than server.drain_delay (2s)",
    ]


def test_a_file_that_cannot_be_read_does_not_hide_what_is_wrong_in_the_other(write: Write) -> None:
    project = write("scaling: {replica: 1}\n", base="name: [\n")

    assert [str(problem) for problem in validate(project, "prod")] == [
        "llmctl.yaml:2: not valid YAML: expected the node content, but found '<stream end>' "
        "while parsing a flow node",
        "stacks/prod.yaml:1: scaling.replica: unknown key; did you mean `replicas`?",
    ]


def test_two_files_that_cannot_be_read_are_both_reported(write: Write) -> None:
    problems = validate(write("[", base="- a\n"), "prod")

    assert [str(problem).partition(": ")[0] for problem in problems] == ["llmctl.yaml:1", "stacks/prod.yaml:1"]


def test_one_mistake_is_reported_once_even_when_rules_build_on_it(write: Write) -> None:
    project = write(
        "target: asw\nnodes: [{name: cpu, min: 3, max: many}]\ngateway: {auth: nobody, host: 0.0.0.0}\n"
    )

    assert [problem.key for problem in validate(project, "prod")] == ["target", "nodes[0].max", "gateway.auth"]


def test_a_missing_name_points_at_the_base_file(write: Write) -> None:
    (problem,) = validate(write(base="scaling: {}\n"), "prod")

    assert str(problem) == "llmctl.yaml: name: is required; add `name: demo`"


def test_a_value_with_control_characters_cannot_reach_the_terminal(write: Write) -> None:
    (problem,) = validate(write('gateway: {auth: "\\e[31mred"}\n'), "prod")

    assert problem.message == 'must be one of api_key, none, but is the text "\\x1b[31mred"'


def test_a_folder_in_the_place_of_a_file_is_named(write: Write) -> None:
    project = write()
    project.base_file.unlink()
    project.base_file.mkdir()

    (problem,) = validate(project, "prod")

    assert str(problem) == "llmctl.yaml: is a folder; a YAML file is expected"


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(write: Write) -> None:
    project = write()
    project.base_file.unlink()
    os.mkfifo(project.base_file)

    (problem,) = validate(project, "prod")

    assert str(problem) == "llmctl.yaml: is no ordinary file; a YAML file is expected"


def test_a_link_to_nowhere_is_named(write: Write) -> None:
    project = write()
    project.base_file.unlink()
    project.base_file.symlink_to("nowhere")

    (problem,) = validate(project, "prod")

    assert str(problem) == "llmctl.yaml: cannot be read: No such file or directory"


@pytest.mark.parametrize(
    "name", ["../prod", "/etc/passwd", "", ".", "PROD", "a b", "a" * 41, "prod\n", "prod.yaml"]
)
def test_a_stack_name_that_could_leave_the_folder_is_refused(name: str, write: Write) -> None:
    with pytest.raises(UsageError, match="stack name"):
        load(write(), name)


def test_an_unknown_stack_lists_the_stacks_and_the_nearest(write: Write) -> None:
    with pytest.raises(NotFoundError) as caught:
        load(write(), "prd")

    assert (caught.value.what, caught.value.why) == ("no stack 'prd'", "stacks here: prod")
    assert caught.value.fix == "did you mean `prod`?"
    assert caught.value.exit_code is ExitCode.NOT_FOUND


def test_a_stack_file_with_the_other_ending_is_pointed_out(write: Write) -> None:
    project = write()
    (project.stacks_dir / "dev.yml").write_text("target: local\n")

    with pytest.raises(NotFoundError) as caught:
        load(project, "dev")

    assert caught.value.fix == "rename stacks/dev.yml to dev.yaml"
    assert [str(problem) for problem in validate(project)] == [
        "stacks/dev.yml: is not read; rename it to dev.yaml"
    ]


def test_validating_all_stacks_names_a_shared_problem_once_and_files_that_are_no_stacks(write: Write) -> None:
    project = write(base="name: demo\nscaling: {replicas: 0}\n")
    (project.stacks_dir / "dev.yaml").write_text("target: local\n")
    (project.stacks_dir / "Big.yaml").write_text("target: local\n")

    assert [str(problem).partition(";")[0] for problem in validate(project)] == [
        "stacks/Big.yaml: stack name 'Big' is not allowed",
        "llmctl.yaml:2: scaling.replicas: must be a whole number from 1 to 64",
    ]


def test_a_project_without_stacks_says_so(write: Write) -> None:
    project = write()
    (project.stacks_dir / "prod.yaml").unlink()

    assert [str(problem) for problem in validate(project)] == ["stacks: has no stack files; run `llmctl init`"]
    with pytest.raises(NotFoundError, match="no stack 'prod'"):
        load(project, "prod")


def test_a_project_without_a_folder_of_stacks_has_none(write: Write) -> None:
    project = write()
    (project.stacks_dir / "prod.yaml").unlink()
    project.stacks_dir.rmdir()

    assert project.stacks() == ()
    assert [str(problem) for problem in validate(project)] == ["stacks: has no stack files; run `llmctl init`"]


def test_no_project_above_the_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        find_project(tmp_path / "home")

    assert "run `llmctl init`" in caught.value.fix


def test_an_explicit_file_that_is_missing_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no file .*other\.yaml"):
        find_project(tmp_path, Path("other.yaml"))
