# Needs Python 3.11 and make; everything else comes into .venv.
# `make` alone lists the commands.

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= 200
export DATA_DIR ?= ./var

.DEFAULT_GOAL := help
.PHONY: help run test check bench lock

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.runtime ## Prepare what is missing and serve on PORT (8000); Ctrl-C stops it
	@$(BIN)/python manage.py setup --demo $(DEMO)
	@exec $(BIN)/python -m config.supervisor

test: $(VENV)/.dev ## The tests on SQLite, then on PostgreSQL and Redis (make test T=tests/cdp/events for some)
	@$(BIN)/python -m tests $(T)

check: $(VENV)/.dev ## Lint, format, types, import contracts, missing migrations, API document
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

bench: $(VENV)/.dev ## Every measurement beside its limit, in one run (make bench B=idle for one)
	@$(BIN)/python -m benchmarks $(B)

lock: $(VENV)/.dev ## Compile requirements*.in to full locks
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links requirements-dev.in -o requirements-dev.txt

# A stamp is newer than its lock when the environment has it. Without `python3.11` by that name, `python3` must be it.
$(VENV)/.made:
	@python=$$(command -v $(PYTHON) || command -v python3) && \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")' && \
	  "$$python" -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.made requirements.txt
	@echo "Installing what the product runs on into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt
	@echo "Installing what the tests and checks need into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
