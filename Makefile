# Everything is installed into .venv; nothing is touched outside this folder.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
ARGS ?=

.PHONY: install demo test lint bench-main bench-serve bench-generate bench-ranking format constraints clean

install: .venv/.installed

# Rebuilt whenever what must be installed has changed (also after a git pull).
.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "forefeed needs Python 3.11 or newer; install one, or say which: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "forefeed: installing into .venv (first time: about half a minute)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e ".[dev]"
	@touch $@

demo: install
	@$(BIN)/feedgen demo $(ARGS)

# One BLAS thread: the login network's matrices are small, and two threads on a shared machine wait for each other.
# Worksteal: tests of a file stay together, so that what they share is made once, and neither worker is idle at the end.
test: install
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The main job end to end; every figure of docs/performance.md comes from a bench target.
bench-main: install
	@$(BIN)/loadtest main-job $(ARGS)

# Reading, side by side with nginx, Redis and FastAPI: wrk, nginx and redis-server from the PATH, the rest from the extra.
bench-serve: install
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e ".[dev,bench]"
	@$(BIN)/loadtest serve $(ARGS)

# Generation beside SQL on PostgreSQL and merge-on-read from Redis: initdb and redis-server from the PATH, else a reason.
bench-generate: install
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e ".[dev,bench]"
	@$(BIN)/loadtest generate $(ARGS)

# Models trained on a synthetic network, judged by its truth.
bench-ranking: install
	@$(BIN)/loadtest rank $(ARGS)

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints:
	@(echo "# Every package the project installs, names and versions only. Regenerate: make constraints"; \
	  $(BIN)/python -m pip freeze --exclude-editable) > constraints.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
