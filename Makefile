# Two commands matter: `make quickstart` trains a model, `make test` proves the package; `make test ORDER=--random-order`
# does so in another order each time.
# Each works on a fresh clone, with Python 3.11 or newer and make; neither needs the other.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check
# A process for each core, which costs up to 3 GB of memory; a file's tests stay together, for they share what is dear.
WORKERS := --numprocesses auto --maxprocesses 4 --dist loadfile
ORDER :=
# The lowest versions that pyproject.toml allows.
FLOORS := $(VENV)/floors

.PHONY: quickstart test test-floors lint format lock clean

quickstart: $(VENV)/.base
	$(RUN) scripts/train.py configuration/recipes/digits.yaml

test: $(VENV)/.test $(VENV)/peers/.installed
	@trap 'exit 130' INT; failed=0; \
	$(RUN) -m pytest $(WORKERS) $(ORDER) tests --ignore=tests/parity || failed=1; \
	PYTHONPATH=$(VENV)/peers $(RUN) -m pytest $(WORKERS) $(ORDER) tests/parity || failed=1; \
	exit $$failed

test-floors: $(FLOORS)/.installed
	$(FLOORS)/bin/python -m pytest $(WORKERS) $(ORDER) tests/models tests/training tests/data

lint: $(VENV)/.test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pyright --pythonpath $(RUN)

format: $(VENV)/.test
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

$(RUN):
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'vit_hf needs Python 3.11 or newer, and this is ' + sys.version.split()[0] + '; name another: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)

# A stamp file stands for each finished installation, so that nothing is installed twice.
$(VENV)/.base: configuration/requirements/base.txt pyproject.toml | $(RUN)
	$(PIP) install --requirement configuration/requirements/base.txt
	$(PIP) install --no-deps --editable .
	touch $@

$(VENV)/.test: configuration/requirements/test.txt $(VENV)/.base
	$(PIP) install --requirement configuration/requirements/test.txt
	touch $@

# The peers stay outside the environment: torchvision is built for one build of torch, and beside another
# (a CPU build, say) it would break the import of transformers for everything else.
$(VENV)/peers/.installed: configuration/requirements/peers.txt $(VENV)/.base
	$(PIP) install --no-deps --upgrade --target $(VENV)/peers --requirement configuration/requirements/peers.txt
	touch $@

$(FLOORS)/.installed: configuration/requirements/floors.txt pyproject.toml | $(RUN)
	$(RUN) -m venv $(FLOORS)
	$(FLOORS)/bin/python -m pip --disable-pip-version-check install --requirement configuration/requirements/floors.txt
	$(FLOORS)/bin/python -m pip --disable-pip-version-check install --no-deps --editable .
	touch $@

# The newest and the lowest versions that pyproject.toml allows, written down for everybody else.
lock: $(RUN)
	$(RUN) configuration/requirements/lock.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
