# Start with `make demo` and `make test`; each sets up .venv by itself.
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

.PHONY: help setup demo test slow test-all integration release chaos chaos-short mutants bench bench-publish bench-planning bench-gate bench-alerts bench-quiet check up upgrade down status sql load examples migrate e2e secrets compose-up compose-demo compose-down lock format clean oracles bench-drift bench-memory bench-dask docs pictures

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Create .venv with the locked packages

# A copy of the lock is kept: packages are installed again only when the lock has changed. pip would compile them one after
# the other; compileall uses every core.
$(VENV)/.ready: requirements.txt pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11, 3.12 or 3.13 is needed, and none was found." >&2; exit 1; fi
	@if ! cmp -s requirements.txt $(VENV)/.lock; then \
		echo "Setting up $(VENV): $$(grep -c == requirements.txt) locked packages are installed once, in about two minutes."; \
		if [ -x $(BIN)/tidemill ]; then $(BIN)/tidemill down; fi; \
		$(PYTHON) -m venv --clear $(VENV) && \
		$(BIN)/python -m pip install $$([ -t 2 ] || echo --quiet) --no-compile --no-deps --require-hashes -r requirements.txt && \
		$(BIN)/python -m compileall -q -j 0 $(VENV)/lib && \
		cp requirements.txt $(VENV)/.lock; fi
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Train, predict, monitor and decide on New York's flights, through the real scheduler
	@$(BIN)/tidemill demo

test: setup ## Run the tests that need no server
	@$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow" src tests/unit tests/plugins tests/dags tests/test_*.py

slow: setup ## Run the simulations and the searches for bad input that 'make test' leaves out
	@$(BIN)/python -m pytest -q -n auto --dist worksteal -m slow tests/unit tests/plugins tests/dags

.PHONY: search
search: setup ## Search for bad input with new random examples, ten times as many; CI always tries the same ones
	@$(BIN)/python -m pytest -q -n auto --dist worksteal --hypothesis-profile=search -m hypothesis tests/unit tests/plugins

.PHONY: catboost
catboost: setup ## Run the tests of CatBoost, which the lock leaves out for its size
	@[ -e build/catboost/catboost ] || $(BIN)/python -m pip install --quiet --no-deps --target build/catboost catboost==1.2.8
	@PYTHONPATH=build/catboost $(BIN)/python -m pytest -q -k catboost tests/unit/modeling tests/unit/storage

.PHONY: cases
cases: setup ## Run what proves the items of the tables, bad input first of all, and print each item with its verdict
	@$(BIN)/python -m pytest -q -n auto --dist loadfile --cases -m case tests/unit tests/plugins tests/integration

integration: setup ## Run the tests on a real Postgres, Airflow and MLflow, which they start
	@$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder tests/integration

test-all: test slow integration e2e chaos-short bench-short ## Run every test that CI runs

oracles: ## Compare monitoring with Evidently and NannyML, in a separate environment
	@if ! cmp -s tests/oracles/requirements.txt .venv-oracles/.lock; then \
		$(PYTHON) -m venv --clear .venv-oracles && \
		.venv-oracles/bin/python -m pip install --quiet --no-deps --require-hashes -r tests/oracles/requirements.txt && \
		.venv-oracles/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable . && \
		cp tests/oracles/requirements.txt .venv-oracles/.lock; fi; \
	if [ ! -e .venv-oracles/.lock ]; then echo "Skipped: Evidently and NannyML could not be installed, for the reason above."; else \
		.venv-oracles/bin/python -m pytest -q -c tests/oracles/pytest.ini tests/oracles; fi

chaos: setup ## Kill, freeze, disconnect and fill up everything, and list what was proved: about half an hour
	@$(BIN)/python -m pytest -q tests/chaos

chaos-short: setup ## The same in four minutes: each fault point once, few rounds, no Airflow
	@TIDEMILL_CHAOS_ROUNDS=5 TIDEMILL_CHAOS_PUBLISHES=60 $(BIN)/python -m pytest -q tests/chaos -m "not slow and not airflow"

mutants: setup ## Disable one guard at a time: the tests must detect each
	@$(BIN)/python -m tests.chaos.mutants

bench: setup ## Score and publish a partition, compared with common practice: make bench ROWS="100000 1000000"
	@if ! cmp -s tests/bench/requirements.txt build/bench/.lock; then \
		$(BIN)/python -m pip install --quiet --no-deps --require-hashes --upgrade --target build/bench \
			-r tests/bench/requirements.txt && cp tests/bench/requirements.txt build/bench/.lock; fi; \
	PYTHONPATH=build/bench $(BIN)/python -m tests.bench.scoring --rows $(or $(ROWS),100000 1000000)

.PHONY: bench-short bench-rivals bench-training bench-dags bench-shards bench-specs

bench-short: setup ## The same with 300,000 rows, compared only with execute_values: fails below 1.8 times its efficiency
	@$(BIN)/python -m tests.bench.scoring --rows 300000 --pairs 1 --only execute_values --at-least 1.8 >/dev/null

bench-rivals: setup ## Compare a contract, drift and a batch of scores with Great Expectations, Evidently and MLflow
	@$(BIN)/python -m tests.bench.rivals

bench-training: setup ## Read, encode and fit a million rows, and print the shares
	@$(BIN)/python -m tests.bench.training

bench-dags: setup ## Time the predict and the train DAG with 1,000 rows, from trigger to end, five times each
	@$(BIN)/python -m tests.bench.dags

bench-specs: setup ## Load all DAG files, and start a task, with 300 specs; fails above 3 s and 0.1 s of processor
	@$(BIN)/python -m tests.bench.specs

.PHONY: bench-console
bench-console: setup ## Read the console as 20 users, with 300 models of 1,000 partitions: fails above 1 s at the 95th percentile
	@$(BIN)/python -m tests.bench.console

.PHONY: bench-scheduler
bench-scheduler: setup ## Start a stack with 303 specs on a machine kept busy: fails unless every DAG is there
	@$(BIN)/python -m tests.bench.scheduler

bench-shards: setup ## Score a long partition in shards on two workers, one of them killed: make bench-shards ROWS=20000000
	@$(BIN)/python -m tests.bench.shards --rows $(or $(ROWS),2000000)

bench-publish: setup ## Publish a million rows, compared with a bare COPY of the same rows
	@$(BIN)/python -m tests.bench.publish

.PHONY: bench-quarantine
bench-quarantine: setup ## Publish a million rows with 1 % of them set aside, compared with none: fails above 1.1 times the processor time
	@$(BIN)/python -m tests.bench.quarantine

.PHONY: bench-rates
bench-rates: setup ## Simulate how often gate, intervals and alerts err: make bench-rates ONLY=hourly DRAWS=1000
	@nice -n 19 $(BIN)/python -m tests.bench.rates --draws $(or $(DRAWS),1000) --only "$(ONLY)"

.PHONY: bench-shadow
bench-shadow: setup ## Simulate how often the shadow errs with daily looks, and how soon it decides: make bench-shadow DRAWS=4000
	@nice -n 19 $(BIN)/python -m tests.bench.shadow --draws $(or $(DRAWS),4000)

.PHONY: bench-looks
bench-looks: setup ## Simulate 26 weekly trainings against one champion: make bench-looks DRAWS=400
	@nice -n 19 $(BIN)/python -m tests.bench.looks --draws $(or $(DRAWS),400)

.PHONY: bench-sources
bench-sources: setup ## Extract a million rows from Parquet by DuckDB, paired with the same rows from Postgres
	@$(BIN)/python -m tests.bench.sources

bench-gate: setup ## Let the gate judge 1,000 pairs of each kind, with known differences
	@$(BIN)/python -m tests.bench.gate_errors --pairs 1000

bench-alerts: setup ## Inject every fault into the flights, one at a time, and count false alerts; needs loaded flights
	@$(BIN)/tidemill drill flight_delays --from 2013-04-01 --to 2013-06-29 --on 2013-05-15 --on 2013-06-12

bench-quiet: setup ## Replay the year of flights without a fault, and list what would be withheld; needs loaded flights
	@$(BIN)/tidemill drill flight_delays --from 2013-02-27 --to 2013-12-31

bench-drift: setup ## Compare a million rows of 20 columns with stored bins
	@$(BIN)/python -m tests.bench.drift

bench-memory: setup ## Train in memory and from disk, and compare the memory: make bench-memory ROWS="600000 2400000"
	@$(BIN)/python -m tests.bench.memory --rows $(or $(ROWS),600000 2400000)

bench-dask: setup ## Train on 1, 2 and 4 Dask workers, with data four times the memory of one worker; takes long
	@$(BIN)/python -m tests.bench.cluster

bench-planning: setup ## Read one partition of a model that has 3,000 runs
	@$(BIN)/python -m tests.bench.planning

e2e: setup ## Run the chain through the real scheduler and check the results, as CI does
	@$(BIN)/python -m pytest -q -o timeout=1800 tests/e2e

check: setup ## Lint, type-check, spell-check, and check the import rules and the word list
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo && \
		$(BIN)/codespell && $(BIN)/python -m pytest -q tests/test_style.py

up: setup ## Start Postgres, MLflow and Airflow on this machine
	@$(BIN)/tidemill up

upgrade: ## After checking out a new version: back up Postgres, migrate, restart, run the doctor
	@[ ! -x $(BIN)/tidemill ] || $(BIN)/tidemill down
	@$(MAKE) --no-print-directory setup
	@$(BIN)/tidemill backup
	@$(BIN)/tidemill up
	@$(BIN)/tidemill doctor

down: ## Stop Postgres, MLflow and Airflow
	@[ ! -x $(BIN)/tidemill ] || $(BIN)/tidemill down

status: setup ## Show the state of Postgres, MLflow and Airflow
	@$(BIN)/tidemill status

sql: setup ## Query the warehouse: make sql Q='SELECT ...'
	@$(BIN)/tidemill sql "$$Q"

examples: ## Add the other example models: a number, several classes, a day that is over, a forecast, every customer on every day
	@cp examples/models/*.yaml dags/models/

load: setup ## Load the examples' flights, orders and customers into the warehouse
	@$(BIN)/tidemill load

migrate: setup ## Upgrade the ledger's schema
	@$(BIN)/tidemill migrate

docs: setup ## Build the documentation site in build/site, with strict links
	@if ! cmp -s docs/site/requirements.txt .venv-docs/.lock; then \
		$(PYTHON) -m venv --clear .venv-docs && \
		.venv-docs/bin/python -m pip install --quiet --no-deps --require-hashes -r docs/site/requirements.txt && \
		cp docs/site/requirements.txt .venv-docs/.lock; fi
	@$(BIN)/python docs/site/pages.py build && cd build && ../.venv-docs/bin/zensical build --strict >build.log 2>&1 \
		|| { cat build.log; exit 1; }
	@echo "The site is in build/site. To read it: python3 -m http.server --bind 127.0.0.1 --directory build/site"

pictures: setup ## Take the pictures of README and docs from the running demo; needs Chromium
	@$(BIN)/python docs/site/pictures.py docs/images

secrets: ## Create the missing secrets of the compose profile
	@sh docker/secrets.sh

compose-up: secrets ## Build the image and start Airflow with Celery, MLflow and Postgres in containers
	@[ -z "$(PYTHON)" ] || $(PYTHON) docker/ports.py
	@$(COMPOSE) up --detach --build --wait && echo "Airflow http://127.0.0.1:$${TIDEMILL_UI_PORT:-8080}, login admin, password in secrets/admin_password" && \
		echo "MLflow  http://127.0.0.1:$${TIDEMILL_MLFLOW_PORT:-5000}, login admin, password in secrets/mlflow_password"

compose-demo: compose-up ## Run the demo's chain through Celery
	@$(COMPOSE) run --rm tools tidemill load && \
		$(COMPOSE) run --rm tools tidemill demo --airflow http://api-server:8080 --password-file /run/secrets/admin_password

compose-down: ## Stop the containers; their volumes stay
	@$(COMPOSE) --profile '*' down

release: setup ## Build wheel and sdist, check them, test the wheel in a separate environment, and tag the commit
	@tag=v$$($(BIN)/python -c 'import tidemill; print(tidemill.__version__)') && \
		if [ -n "$$(git status --porcelain)" ]; then echo "Commit first: a release is a commit." >&2; exit 1; fi && \
		tagged=$$(git rev-parse --quiet --verify "$$tag^{commit}" || true) && \
		if [ -n "$$tagged" ] && [ "$$tagged" != "$$(git rev-parse HEAD)" ]; then \
			echo "$$tag is another commit: set the next version in pyproject.toml." >&2; exit 1; fi && \
		rm -rf dist .venv-release && \
		$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist . && \
		$(BIN)/twine check --strict dist/* && \
		$(PYTHON) -m venv .venv-release && \
		.venv-release/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements.txt && \
		.venv-release/bin/python -m pip install --quiet --no-deps dist/*.whl && \
		TIDEMILL_RELEASED=.venv-release $(BIN)/python -m pytest -q tests/release && \
		if [ -z "$$tagged" ]; then git tag -a "$$tag" -m "Tidemill $${tag#v}"; fi && \
		echo "This commit is $$tag. Publish the tag: git push origin $$tag"

# Every extra but catboost, which is as large as all other model libraries together.
LOCKED = $(shell $(BIN)/python -c 'import pathlib, tomllib; \
	extras = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]["optional-dependencies"]; \
	print(*(f"--extra {name}" for name in extras if name != "catboost"))')

lock: setup ## Resolve pyproject.toml into requirements.txt again
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 $(LOCKED) --no-annotate \
		--no-header pyproject.toml --output-file requirements.txt

format: setup ## Format the code
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix-only .

clean: down ## Remove .venv, the local stack's state and caches
	@[ ! -x $(BIN)/tidemill ] || $(BIN)/tidemill remove
	@rm -rf $(VENV) .venv-release .venv-oracles .venv-docs build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
