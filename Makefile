# Two commands: `make run` and `make test`. `make help` lists the rest.

.DEFAULT_GOAL := help
.PHONY: help setup run test test-services test-clocks check format faults deep coverage mutants bench docs browser screenshots lock messages clean
MAKEFLAGS += --no-print-directory

export PORT ?= 8000
export HOST ?= 127.0.0.1
PYTHON ?=
PY := .venv/bin/python
ARGS ?=
JOBS ?= 2

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@python=$$(PYTHON="$(PYTHON)" sh scripts/python.sh) && "$$python" scripts/bootstrap.py test

run: ## set everything up and start it with a sample clinic; PORT=8000 HOST=127.0.0.1
	@python=$$(PYTHON="$(PYTHON)" sh scripts/python.sh) && "$$python" scripts/bootstrap.py run
	@$(PY) manage.py serve

test: setup ## the test suite on SQLite, set-up included; ARGS="-k name" for some of it
	@$(PY) -m pytest -n $(JOBS) $(ARGS)

test-services: setup ## the same suite on a throwaway PostgreSQL and Redis
	@$(PY) scripts/with_services.py $(PY) scripts/none_skipped.py -n $(JOBS) $(ARGS)

test-clocks: setup ## part of the suite in the evening, at both changes of the clock and on 29 February
	@$(PY) scripts/other_clocks.py -n $(JOBS) $(ARGS)

check: setup ## style, types, import arrows, migrations, deployment settings, templates, translations, locks
	@$(PY) scripts/check.py $(ARGS)

format: setup ## let ruff mend and lay out the code
	@$(PY) scripts/check.py --fix ruff format

faults: setup ## races and kills at small counts, on SQLite and on throwaway services
	@$(PY) scripts/each.py tests/faults --services $(ARGS)

deep: setup ## randomised tests, races and kills at full count; takes long
	@MESOCLINIC_DEEP=1 $(PY) -m pytest -n $(JOBS) $(ARGS)
	@MESOCLINIC_DEEP=1 $(PY) scripts/other_clocks.py -n $(JOBS)
	@MESOCLINIC_DEEP=1 $(PY) scripts/each.py tests/faults --services

# What reaches every branch of the engine; the tests of plans, pages and prints add nothing to it.
ENGINE_TESTS := engine_*.py answer.py boundaries.py cases.py contributions.py formulary.py hostile_input.py mixtures.py \
	recompute.py rules_of_2026_2.py safety.py selection.py verify.py waiting.py

coverage: setup ## branch coverage of the protocol engine
	@$(PY) -m coverage run --branch --source=protocols/engine --data-file=var/coverage -m pytest $(addprefix tests/protocols/test_,$(ENGINE_TESTS)) $(ARGS)
	@$(PY) -m coverage report --data-file=var/coverage -m --skip-covered --fail-under=100

mutants: setup ## mutation testing of the engine; ARGS="mixing/dose screen" for some modules, --write for the page
	@$(PY) scripts/mutants.py $(ARGS)

bench: setup ## each benchmark beside its reference
	@$(PY) scripts/each.py benchmarks $(ARGS)

docs: setup ## the documentation as a site in var/docs; a warning fails it
	@$(PY) -m sphinx -W --keep-going -q -b html docs var/docs && echo 'Open var/docs/index.html'

browser: setup ## what people do most, in headless Chromium, clicks counted; ARGS=main_path for one
	@$(PY) scripts/bootstrap.py packages browser
	@$(PY) scripts/each.py tests/e2e --except screenshots $(ARGS)

screenshots: setup ## pictures of the main pages at 390 and 1280 px, light and dark, and axe on each
	@$(PY) scripts/bootstrap.py packages browser
	@$(PY) -m tests.e2e.screenshots $(ARGS)

lock: setup ## pin every package anew, with hashes and without addresses
	@sh scripts/lock.sh

messages: setup ## collect the texts to translate into locale/
	@$(PY) scripts/messages.py collect

clean: ## remove what set-up and runs made, the sample data included; asks first
	@printf 'Remove .venv, node_modules, static/vendor and var (its database too)? [y/N] '; \
	read answer; [ "$$answer" = y ] && rm -rf .venv node_modules static/vendor var .mypy_cache .ruff_cache .pytest_cache || echo 'Left as it is.'
