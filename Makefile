# `make run` and `make test` need Python 3.11 or newer, pip and make; everything else they set up themselves.

HOST ?= 127.0.0.1
PORT ?= 8080
DATABASE ?= sqlite:///./var/leadline.db
# Interpreter of a new .venv; empty: the newest one found. `make clean` first to change it.
PYTHON ?=
# More arguments for pytest: make test ARGS="-x -k wrap_up"
ARGS ?=
# Test processes side by side; 0 runs them in one, for a debugger.
WORKERS ?= 3
LEADLINE_TEST_CHROMIUM ?=
# For make chaos: how long it is under fire, and the seed of its faults.
SECONDS ?= 60
SEED ?= 7
ENGINE ?= both
# For make bench: what of it (apply, read, deliver, grow, processes, all), how often each is measured, and more.
PART ?= all
RUNS ?= 5
export PYTHON LEADLINE_TEST_CHROMIUM

BIN := .venv/bin
SET_UP := pyproject.toml scripts/set-up

.PHONY: help run check test test-long chaos bench docs format lock clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' Makefile

run: .venv/server.stamp ## Serve on PORT (8080) with sample data, the database in var/
	@mkdir -p var
	@exec $(BIN)/leadline serve --dev --host "$(HOST)" --port "$(PORT)" --database "$(DATABASE)"

check: .venv/dev.stamp ## Lint, formatting, types and import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: .venv/dev.stamp ## The tests, on SQLite, PostgreSQL and Chromium, but for those of test-long
	@chromium="$$(scripts/find-chromium)" || exit 1; \
	LEADLINE_TEST_CHROMIUM="$$chromium" exec $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not long and not bench" $(ARGS)

test-long: .venv/dev.stamp ## The tests that take minutes: kills, chaos, generated requests, quick runs of the benchmarks
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile -m long
	$(BIN)/python -m pytest -m bench

chaos: .venv/dev.stamp ## Kill, cut and starve it for SECONDS (60) by SEED (7), and count what it lost
	@exec $(BIN)/python -m chaos --seconds "$(SECONDS)" --seed "$(SEED)" --engine "$(ENGINE)"

bench: .venv/dev.stamp ## Measure speed as ratios within one run; PART (all), RUNS (5), tables here and in bench.json
	@exec $(BIN)/python -m benchmarks "$(PART)" --runs "$(RUNS)" --engine "$(ENGINE)" $(ARGS)

docs: .venv/dev.stamp ## Write the reference of routes from the table of operations
	@$(BIN)/python scripts/write_routes.py

format: .venv/dev.stamp ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

# The locks keep their versions unless pyproject.toml asks for others; make lock UPGRADE=1 takes the newest.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --quiet --universal \
	--python-version 3.11 --generate-hashes --no-annotate \
	$(if $(UPGRADE),--upgrade) --extra server --group build

lock: .venv/dev.stamp ## Pin the dependencies of pyproject.toml, with hashes, in requirements/
	$(COMPILE) --output-file requirements/server.lock
	$(COMPILE) --extra otel --group dev --constraint requirements/server.lock --output-file requirements/dev.lock

clean: ## Remove the virtual environment and the caches, not var/
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find src tests chaos benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment knows its place by heart: in a copied or moved folder it would run the code of the old one.
ifneq ($(shell cat .venv/place 2>/dev/null),$(CURDIR))
.PHONY: moved
.venv/server.stamp .venv/dev.stamp: moved
endif

.venv/server.stamp: requirements/server.lock $(SET_UP)
	@scripts/set-up server

.venv/dev.stamp: requirements/dev.lock $(SET_UP)
	@scripts/set-up dev
