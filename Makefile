# Each target sets up .venv by itself; the second time that costs nothing.
PYTHON ?= python3
PORT ?= 8501
VENV := .venv
STAMP := $(VENV)/.stamp
NODE_STAMP := node_modules/.package-lock.json
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --no-input

# A browser tab can only be opened where there is a display.
ifneq ($(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname -s)),)
HEADLESS := false
else
HEADLESS := true
endif

.DEFAULT_GOAL := help
.PHONY: help app test soak versions lint lint-python lint-web house docs lock audit clean

help:
	@echo "make app    start the studio on port $(PORT) (PORT=... for another)"
	@echo "make test   run the tests"
	@echo "make soak   try for a quarter of an hour to lose runs and to stop the studio"
	@echo "make versions  run them on each Python found, and with the oldest packages allowed"
	@echo "make lint   check style and formatting (of JavaScript and CSS where npm is installed)"
	@echo "make house  print import circles, rooms and lines (SINCE=REV for the lines before)"
	@echo "make docs   write the pages of docs/ that are made from the code"
	@echo "make lock   pin all packages anew after a change of requirements.txt"
	@echo "make audit  ask PyPI for known weaknesses of the pinned packages"
	@echo "make clean  remove the environment and all caches"

app: $(STAMP)
	@$(VENV)/bin/streamlit run streamlit_app.py --server.port $(PORT) --server.headless $(HEADLESS)

test: $(STAMP)
	@$(VENV)/bin/python -m pytest -q -rs -n 2 --no-loadscope-reorder

# Threads that wait by spinning take the processor from others, see sparcode/cli.py.
soak: $(STAMP)
	@OMP_WAIT_POLICY=PASSIVE $(VENV)/bin/python -m scripts.soak

# PYTHONS names interpreters that are not on the PATH as python3.11 and so on.
versions: $(STAMP)
	@$(VENV)/bin/python -m scripts.versions $(PYTHONS)

lint: lint-python lint-web

lint-python: $(STAMP)
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

# JavaScript and CSS, where there is npm; CI must have it.
ifneq ($(shell command -v npm),)
lint-web: $(NODE_STAMP)
	@npm run --silent lint
else ifeq ($(CI),true)
lint-web:
	@echo "npm is not installed: JavaScript and CSS cannot be checked" >&2; exit 1
else
lint-web:
	@echo "npm is not installed: JavaScript and CSS are not checked"
endif

$(NODE_STAMP): package.json package-lock.json
	@npm ci --silent --no-audit --no-fund

house: $(STAMP)
	@$(VENV)/bin/python -m scripts.house $(if $(SINCE),--since $(SINCE))

docs: $(STAMP)
	@$(VENV)/bin/python -m scripts.docs

# The comment at the top of the file stays.
lock: $(STAMP)
	@$(PIP) install -q uv
	@$(VENV)/bin/uv pip compile -q requirements.txt --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links -o $(VENV)/all.lock
	@{ head -n 3 requirements.lock; awk '/^[a-z]/ { keep = !/^(torch|triton|cuda|nvidia)[-=]/ } keep' $(VENV)/all.lock; } > $(VENV)/new.lock
	@mv $(VENV)/new.lock requirements.lock

# In an environment of its own, because its packages are not the project's.
audit: $(STAMP)
	@$(PYTHON) -m venv --clear $(VENV)/audit
	@$(VENV)/audit/bin/python -m pip install -q pip-audit
	@$(VENV)/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.lock

clean:
	rm -rf $(VENV) node_modules .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "SparCode needs Python 3.11 or newer; '$(PYTHON)' is `$(PYTHON) --version 2>&1`. Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || { echo "Creating $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "Installing requirements into $(VENV) (a few minutes, once)"
	@$(PIP) install -q --require-hashes -r requirements.lock
	@$(PIP) install -q -r requirements.txt
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@
