# The project's own commands. `make up` and `make test` do all of their own set-up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
LOCKS := .requirements
STACK ?= local
# A machine that offers the CPU build of torch does so through PIP_FIND_LINKS.
CPU_TORCH := $(wildcard $(addsuffix /torch-*+cpu-*.whl,$(PIP_FIND_LINKS)))

.DEFAULT_GOAL := help
.PHONY: help up down test test-all lint format bench model docs wheel engine lock system-deps clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/base.stamp: $(LOCKS)/base.lock pyproject.toml $(VENV)/python.stamp
	@echo "installing llmctl into $(VENV)" >&2
	@$(PIP) install --require-hashes --no-deps -r $(LOCKS)/base.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(LOCKS)/dev.lock $(VENV)/base.stamp
	@echo "installing the test tools into $(VENV)" >&2
	@$(PIP) install --require-hashes --no-deps -r $(LOCKS)/dev.lock
	@touch $@

$(VENV)/train.stamp: $(wildcard $(LOCKS)/train*.lock) $(VENV)/dev.stamp
	@echo "installing torch into $(VENV) ($(if $(CPU_TORCH),the CPU build,3 GB: the index has no CPU build))" >&2
	@$(PIP) install --require-hashes --no-deps -r $(LOCKS)/train.lock -r $(LOCKS)/train-$(if $(CPU_TORCH),cpu,cuda).lock
	@touch $@

up: $(VENV)/base.stamp ## Bring the local stack up: a model behind a gateway on this machine
	@$(BIN)/llmctl up $(STACK)

down: $(VENV)/base.stamp ## Take the local stack away
	@$(BIN)/llmctl down $(STACK) --yes

engine: $(VENV)/base.stamp ## Find, install or build the Pulumi engine; prints its path
	@$(BIN)/python -m llmctl_stacks.engine

test: $(VENV)/dev.stamp $(if $(filter true,$(CI)),$(VENV)/train.stamp) ## Run every test that this machine can
	@LLMCTL_PULUMI=$$($(BIN)/python -m llmctl_stacks.engine) $(BIN)/python -m pytest

test-all: $(VENV)/train.stamp test ## The same, with torch for the training tests

lint: $(VENV)/dev.stamp $(if $(filter true,$(CI)),$(VENV)/train.stamp) ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@if $(BIN)/python -c 'import torch' 2>/dev/null; then $(BIN)/mypy; else \
	    echo "left out: types of llmctl_model (no torch: make test-all)" >&2; \
	    $(BIN)/mypy -p llmctl -p llmctl_stacks -p llmctl_infra -p llmctl_image -p llmctl_server; fi
	@$(BIN)/lint-imports

format: $(VENV)/dev.stamp ## Rewrite the code in the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/train.stamp ## Measure, and write docs/benchmarks.md
	@LLMCTL_PULUMI=$$($(BIN)/python -m llmctl_stacks.engine) PYTHONPATH=tests $(BIN)/python -m benchmarks

model: $(VENV)/train.stamp ## Fetch the data, train, and compare with the shipped model
	@$(BIN)/python -m llmctl_model --check

docs: $(VENV)/base.stamp ## Write the reference pages from the code
	@$(BIN)/python -m llmctl_stacks.config docs/reference
	@$(BIN)/python -m llmctl.docs docs/reference
	@$(BIN)/python -m llmctl_stacks.engine.schema docs/reference/events.schema.json

wheel: $(VENV)/dev.stamp ## Build dist/*.whl
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist .

lock: $(VENV)/dev.stamp ## Write the hashed lock files anew from pyproject.toml
	@$(BIN)/python $(LOCKS)/lock.py

system-deps: ## Install the system packages that tests and benchmarks use (Debian, Ubuntu; as root)
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends ca-certificates curl git make python3-venv wrk
	@command -v go >/dev/null || apt-get install -y -qq --no-install-recommends golang-go

clean: ## Remove what the Makefile made in this folder
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
