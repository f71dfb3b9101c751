"""What `llmctl init` writes: a project that works unedited."""

from __future__ import annotations

import json

from llmctl_stacks.config.emit import scalar
from llmctl_stacks.config.schema import schema
from llmctl_stacks.home import check_name

SCHEMA_FILE = "stacks/.llmctl.schema.json"

_BASE = """\
# yaml-language-server: $schema=stacks/.llmctl.schema.json
#
# What all stacks share. Each stack adds its own file, stacks/<stack>.yaml, which is merged over this one.
# Every key: llmctl config explain KEY. What a stack ends up with: llmctl config show STACK --origin

schema: 1                           # version of this format
name: {name}

models:
  - name: attention                 # what clients ask for
    engine: attention
    source: {source}
    max_tokens: 1000                # longest text; a longer one is refused (422) or cut

scaling:
  replicas: 2                       # model servers behind the gateway

server:
  threads: auto                     # shares the cores of the machine among the replicas
  log_level: info
  environment: {{}}                   # for example {{HF_TOKEN: "${{secret:HF_TOKEN}}"}}

gateway:
  auth: api_key                     # none: let anyone in, on this machine only
  timeout: 30s
  max_body: 1MiB
  api_keys:
    - name: default                 # llmctl makes the key and keeps it in a file that only you can read
  rate_limits: []                   # for example [{{key: "*", rps: 50, burst: 100}}]

observability:
  request_log:
    enabled: true                   # time, key name, status and milliseconds of every request; never its text
    retention: 14d

secrets:
  from: env                         # ${{secret:X}} is the environment variable X
"""

_LOCAL = """\
# yaml-language-server: $schema=.llmctl.schema.json
#
# The stack `local`: this machine, no account, no container runtime. Bring it up: llmctl up local

target: local                       # local | kubernetes | aws

gateway:
  host: 127.0.0.1                   # only this machine can reach it
  port: auto                        # a free port, chosen once and kept
  retries:
    attempts: 2                     # further tries on another replica, before the first byte

observability:
  logs:
    max_size: 10MiB                 # a log file is rotated at this size
    keep: 3                         # rotated files that are kept
"""


def scaffold(name: str, *, source: str = "builtin://attention") -> dict[str, str]:
    """The files of a new project, by their path below its folder.

    Args:
        name: the project's name.
        source: where its model bundle comes from: `builtin://attention`, or `file://PATH`.

    Raises:
        UsageError: when `name` is not allowed.
    """
    return {
        "llmctl.yaml": _BASE.format(name=check_name("project", name), source=scalar(source)),
        "stacks/local.yaml": _LOCAL,
        SCHEMA_FILE: schema_text(),
    }


def schema_text() -> str:
    """The JSON Schema as it is written to files."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
