# Everything one does with a clone of Daypass. Every target sets up what it needs by itself.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.PHONY: help setup demo tour test test-long test-long-beside test-long-alone leaks mutants bench lint format lock clean

# Tests at once; each worker has PostgreSQL servers of its own.
WORKERS ?= 2
# How long each long suite goes on.
LONG_SECONDS ?= 600
# Which tests, as files or folders.
TESTS ?= tests
# More arguments for pytest, such as ARGS="-k deadline".
ARGS ?=

PYTEST = .venv/bin/python -m pytest

help:  ## Show what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup:  ## Install everything into .venv, if it is not
	@scripts/setup.sh

demo: setup  ## Start Daypass and a sample company; Ctrl-C stops everything
	@.venv/bin/daypass demo

tour: setup  ## Act the whole story out in the terminal
	@.venv/bin/daypass tour

test: setup  ## Run every test but the long ones
	@scripts/test-packages.sh
	@scripts/suites.sh
	@scripts/corpora.sh
	@mkdir -p reports
	$(PYTEST) $(TESTS) -m "not long and not mutant" -n $(WORKERS) --dist loadgroup \
		--junitxml=reports/test.xml $(ARGS)

test-long: test-long-beside test-long-alone  ## Run the long suites, LONG_SECONDS seconds each

test-long-beside: setup
	@scripts/test-packages.sh
	@scripts/suites.sh
	@scripts/corpora.sh
	@mkdir -p reports
	LONG_SECONDS=$(LONG_SECONDS) scripts/some-tests.sh $(PYTEST) $(TESTS) \
		-m "long and not alone" -n 2 --dist loadgroup --timeout $$(($(LONG_SECONDS) + 600)) \
		--junitxml=reports/test-long-beside.xml $(ARGS)

test-long-alone: setup
	@scripts/test-packages.sh
	@scripts/corpora.sh
	@mkdir -p reports
	LONG_SECONDS=$(LONG_SECONDS) scripts/some-tests.sh $(PYTEST) $(TESTS) -m "long and alone" \
		--timeout $$(($(LONG_SECONDS) + 600)) --junitxml=reports/test-long-alone.xml $(ARGS)

leaks: setup  ## Try everything that could show a masked value or a hidden row
	@scripts/test-packages.sh
	$(PYTEST) $(TESTS) -m leak -n $(WORKERS) --dist loadgroup $(ARGS)

mutants: setup  ## Take each protection away in turn: a named test must fail
	@scripts/test-packages.sh
	@.venv/bin/python -m tests.mutants

bench: setup  ## Measure speed, lag and cost, side by side
	@.venv/bin/python -m bench

lint: setup  ## Check style, types and who imports whom
	@status=0; for check in "ruff check ." "ruff format --check ." mypy lint-imports; do \
		echo "$$check"; .venv/bin/$$check || status=1; \
	done; exit $$status

format: setup  ## Format the code and mend what can be mended
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

lock: setup  ## Lock the dependencies again; ARGS=--upgrade takes newer ones
	scripts/lock.sh $(ARGS)

clean:  ## Remove everything made here but the demo's state
	rm -rf .venv .corpora .suites reports .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
