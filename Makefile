# `make run` starts the platform, `make test` tests it, `make check` checks everything else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.stamp-run-$(shell cksum requirements.txt | cut -d' ' -f1)
DEV_STAMP := $(VENV)/.stamp-dev-$(shell cksum requirements-dev.txt | cut -d' ' -f1)
MANAGE := $(BIN)/python manage.py
PYTEST := $(BIN)/python -m pytest -q --cov --cov-report= --cov-fail-under=0

.PHONY: run test browser check bench faults smoke uptime slo docs schema requirements format clean

run: $(RUN_STAMP)  ## start the platform
	@exec $(MANAGE) up --with-parent

test: $(DEV_STAMP)  ## all tests, on SQLite, on PostgreSQL with Redis, and in a browser
	@rm -f .coverage* && mkdir -p test-results
	@echo "On SQLite, and beside it on PostgreSQL with Redis (test-results/server.txt):"
	@trap 'kill $$server 2>/dev/null' INT TERM; \
	  COVERAGE_FILE=.coverage-server $(PYTEST) --profile=server > test-results/server.txt 2>&1 & server=$$!; \
	  COVERAGE_FILE=.coverage-embedded $(PYTEST) --profile=embedded; embedded=$$?; \
	  wait $$server; found=$$?; cat test-results/server.txt; \
	  exit $$((embedded ? embedded : found))
	@$(BIN)/coverage combine -q .coverage-server .coverage-embedded
	@$(BIN)/coverage report --format=total --precision=1
	@$(MAKE) -s browser

browser: $(DEV_STAMP)  ## the console in a real Chromium, which root gets from the distribution
	@$(BIN)/python -m opsplatform.testing.chromium --install; \
	  case $$? in 0) exec $(BIN)/python -m pytest -q -m browser tests/browser;; 3) ;; *) exit 1;; esac

check: $(DEV_STAMP)  ## format, lint, types, contracts, migrations, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/typos
	$(BIN)/deptry .
	$(MANAGE) check
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) write_docs --check

format: $(DEV_STAMP)  ## put code into the house's form
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format -q .

bench: $(DEV_STAMP)  ## measure, print a table, write docs/performance.md
	@$(MANAGE) collectstatic --noinput -v0
	$(BIN)/python -m benchmarks --write

faults: $(DEV_STAMP)  ## only the tests that kill processes and fill disks
	$(BIN)/python -m pytest -q -m fault

smoke: $(DEV_STAMP)  ## a whole platform, started as a user starts it
	$(BIN)/python -m pytest -q -m smoke

uptime: $(RUN_STAMP)  ## run every check once; exit 1 if anything is down
	$(MANAGE) uptime_monitor --once

slo: $(RUN_STAMP)  ## judge every objective; exit 1 if an error budget is nearly spent
	$(MANAGE) slo_guard --once

docs: $(DEV_STAMP)  ## write the reference pages that come from code
	$(MANAGE) write_docs

schema: $(DEV_STAMP)  ## write the OpenAPI description
	$(MANAGE) spectacular --file docs/openapi.yaml --validate --fail-on-warn

requirements: $(DEV_STAMP)  ## pin what requirements*.in ask for, with hashes
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --custom-compile-command "make requirements" -o requirements.txt requirements.in
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --custom-compile-command "make requirements" -o requirements-dev.txt requirements-dev.in
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --custom-compile-command "make requirements" -o requirements-apprise.txt requirements-apprise.in

clean:
	rm -rf $(VENV) static-root test-results .mypy_cache .ruff_cache .pytest_cache .coverage*

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "OpsPlatform needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@if command -v uv >/dev/null 2>&1; then uv venv -q --seed --python "$$(command -v $(PYTHON))" $(VENV); \
	 else $(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "Python's venv is missing; on Debian: apt-get install python3-venv"; exit 1; }; fi

# A stamp carries the checksum of what it stands for: a changed file, or an install that was
# interrupted before the touch, runs again.
$(RUN_STAMP): | $(VENV)/bin/python
	@test -e $(DEV_STAMP) || { echo "Installing (once) ..."; $(call install,requirements.txt); }
	@touch $@

$(DEV_STAMP): | $(VENV)/bin/python
	@echo "Installing the development requirements (once) ..."
	@$(call install,requirements-dev.txt)
	@rm -f $(VENV)/.stamp-dev-*
	@touch $@

install = if command -v uv >/dev/null 2>&1; \
  then uv pip install -q --python $(BIN)/python --require-hashes -r $(1); \
  else $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(1); fi
