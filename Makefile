# Everything a newcomer needs: `make demo` and `make test`. Each sets up .venv by itself.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
COMPOSE := TIDEMILL_CODE_VERSION=$$(git describe --always --dirty --abbrev=12 2>/dev/null) docker compose
export Q
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONWARNINGS := ignore::SyntaxWarning

.PHONY: help setup demo test test-all integration release chaos chaos-short mutants bench bench-publish bench-planning bench-gate bench-alerts check up upgrade down status sql load examples migrate e2e secrets compose-up compose-demo compose-down lock format clean oracles bench-drift bench-memory bench-dask

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Make .venv with the locked packages

# The stamp keeps a copy of the lock: packages are installed again only when the lock itself has changed.
$(VENV)/.ready: requirements.txt pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11, 3.12 or 3.13 is needed, and none was found." >&2; exit 1; fi
	@if ! cmp -s requirements.txt $(VENV)/.lock; then \
		echo "Setting up $(VENV): the locked packages are installed once, in about two minutes."; \
		if [ -x $(BIN)/tidemill ]; then $(BIN)/tidemill down; fi; \
		$(PYTHON) -m venv --clear $(VENV) && \
		$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.txt && \
		cp requirements.txt $(VENV)/.lock; fi
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Train, predict, monitor and decide on New York's flights, through the real scheduler
	@$(BIN)/tidemill demo

test: setup ## Run the tests that need no server
	@$(BIN)/python -m pytest -q -n auto src tests/unit tests/plugins tests/dags tests/test_*.py

integration: setup ## Run the tests on a real Postgres, Airflow and MLflow, which they start
	@$(BIN)/python -m pytest -q -n auto --dist loadfile tests/integration

test-all: test integration e2e chaos-short bench-short ## Run every test that CI runs

oracles: ## Hold monitoring against Evidently and NannyML, which get an environment of their own
	@if ! cmp -s tests/oracles/requirements.txt .venv-oracles/.lock; then \
		$(PYTHON) -m venv --clear .venv-oracles && \
		.venv-oracles/bin/python -m pip install --quiet --no-deps --require-hashes -r tests/oracles/requirements.txt && \
		.venv-oracles/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable . && \
		cp tests/oracles/requirements.txt .venv-oracles/.lock; fi; \
	if [ ! -e .venv-oracles/.lock ]; then echo "Skipped: Evidently and NannyML could not be installed, for the reason above."; else \
		.venv-oracles/bin/python -m pytest -q -c tests/oracles/pytest.ini tests/oracles; fi

chaos: setup ## Kill, freeze, cut and fill up everything, and list what was proved: about half an hour
	@$(BIN)/python -m pytest -q tests/chaos

chaos-short: setup ## The same in four minutes: each fault point once, few rounds, no Airflow
	@TIDEMILL_CHAOS_ROUNDS=5 TIDEMILL_CHAOS_PUBLISHES=60 $(BIN)/python -m pytest -q tests/chaos -m "not slow and not airflow"

mutants: setup ## Switch off one guard at a time: the tests have to notice each
	@$(BIN)/python -m tests.chaos.mutants

bench: setup ## Score and publish a partition beside what people write today: make bench ROWS="100000 1000000"
	@$(BIN)/python -m tests.bench.scoring --rows $(or $(ROWS),100000 1000000)

.PHONY: bench-short bench-rivals bench-training bench-dags bench-shards

bench-short: setup ## The same with 300,000 rows against execute_values alone: fails if it is not twice as frugal
	@$(BIN)/python -m tests.bench.scoring --rows 300000 --pairs 1 --only execute_values --at-least 1.8 >/dev/null

bench-rivals: setup ## A contract, drift and a batch of scores beside Great Expectations, Evidently and MLflow
	@$(BIN)/python -m tests.bench.rivals

bench-training: setup ## Read, encode and fit a million rows, and print the shares
	@$(BIN)/python -m tests.bench.training

bench-dags: setup ## Time the predict and the train DAG with 1,000 rows, from trigger to end, five times each
	@$(BIN)/python -m tests.bench.dags

bench-shards: setup ## Score a long partition in shards on two workers, one of them killed: make bench-shards ROWS=20000000
	@$(BIN)/python -m tests.bench.shards --rows $(or $(ROWS),2000000)

bench-publish: setup ## Publish a million rows, against a bare COPY of the same rows
	@$(BIN)/python -m tests.bench.publish

.PHONY: bench-rates
bench-rates: setup ## Simulate how often gate, intervals and alerts err: make bench-rates ONLY=hourly DRAWS=1000
	@nice -n 19 $(BIN)/python -m tests.bench.rates --draws $(or $(DRAWS),1000) --only "$(ONLY)"

bench-gate: setup ## Let the gate judge 1,000 pairs of each kind whose difference is known
	@$(BIN)/python -m tests.bench.gate_errors --pairs 1000

bench-alerts: setup ## Put every fault into the flights, one at a time, and count alerts without one; needs loaded flights
	@$(BIN)/tidemill drill flight_delays --from 2013-04-01 --to 2013-06-29 --on 2013-05-15 --on 2013-06-12

bench-drift: setup ## Compare a million rows of 20 columns with stored bins
	@$(BIN)/python -m tests.bench.drift

bench-memory: setup ## Train in memory and from disk, and compare the memory: make bench-memory ROWS="600000 2400000"
	@$(BIN)/python -m tests.bench.memory --rows $(or $(ROWS),600000 2400000)

bench-dask: setup ## Train on 1, 2 and 4 Dask workers on a set four times the memory of one; takes long
	@$(BIN)/python -m tests.bench.cluster

bench-planning: setup ## Read one partition of a model that has 3,000 runs
	@$(BIN)/python -m tests.bench.planning

e2e: setup ## Run the chain through the real scheduler and look at it, as CI does
	@$(BIN)/python -m pytest -q tests/e2e

check: setup ## Lint, type-check, spell-check, and check the import rules and the word list
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo && \
		$(BIN)/codespell && $(BIN)/python -m pytest -q tests/test_style.py

up: setup ## Start Postgres, MLflow and Airflow on this machine
	@$(BIN)/tidemill up

upgrade: ## After taking a new version: back up Postgres, migrate, start again, examine
	@[ ! -x $(BIN)/tidemill ] || $(BIN)/tidemill down
	@$(MAKE) --no-print-directory setup
	@$(BIN)/tidemill backup
	@$(BIN)/tidemill up
	@$(BIN)/tidemill doctor

down: ## Stop them
	@[ ! -x $(BIN)/tidemill ] || $(BIN)/tidemill down

status: setup ## Show them
	@$(BIN)/tidemill status

sql: setup ## Ask the warehouse: make sql Q='SELECT ...'
	@$(BIN)/tidemill sql "$$Q"

examples: ## Put the models of the other tasks, a number and several classes, beside the first one
	@cp examples/models/*.yaml dags/models/

load: setup ## Load the flights into the warehouse
	@$(BIN)/tidemill load

migrate: setup ## Bring the ledger's schema up to date
	@$(BIN)/tidemill migrate

secrets: ## Make the secrets of the compose profile that do not exist yet
	@sh docker/secrets.sh

compose-up: secrets ## Build the image and start Airflow with Celery, MLflow and Postgres in containers
	@$(COMPOSE) up --detach --build --wait && echo "Airflow http://127.0.0.1:$${TIDEMILL_UI_PORT:-8080}, login admin, password in secrets/admin_password"

compose-demo: compose-up ## The demo's chain, by Celery
	@$(COMPOSE) run --rm tools tidemill load && \
		$(COMPOSE) run --rm tools tidemill demo --airflow http://api-server:8080 --password-file /run/secrets/admin_password

compose-down: ## Stop the containers; their volumes stay
	@$(COMPOSE) --profile '*' down

release: setup ## Build wheel and sdist, check them, and install the wheel in an environment of its own
	@rm -rf dist .venv-release && $(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist . && \
		$(BIN)/twine check --strict dist/* && \
		$(PYTHON) -m venv .venv-release && \
		.venv-release/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements.txt && \
		.venv-release/bin/python -m pip install --quiet --no-deps dist/*.whl && \
		TIDEMILL_RELEASED=.venv-release $(BIN)/python -m pytest -q tests/release

lock: setup ## Resolve pyproject.toml into requirements.txt again
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --all-extras --no-annotate \
		--no-header pyproject.toml --output-file requirements.txt

format: setup ## Format the code
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix-only .

clean: down ## Remove .venv, the local stack's state and caches
	@[ ! -x $(BIN)/tidemill ] || $(BIN)/tidemill remove
	@rm -rf $(VENV) .venv-release .venv-oracles dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
