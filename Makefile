# Needs Python 3.11 or later and nothing else: `make demo`, `make test`. Works with GNU make and BSD make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: help demo test crash hostile lint clean

help:
	@echo "make demo   index sample_docs and ask two questions"
	@echo "make test   run every test"
	@echo "make crash  kill, starve and unplug the store at thousands of places, for many minutes"
	@echo "make hostile  index thousands of damaged files, for some minutes"
	@echo "make lint   check style, format and types"
	@echo "make clean  remove what the others made"

# Exit code 3 is right: the samples hold a scanned page, which index names. A key that is set is not used: it may cost.
demo: export RAGKIT_PROVIDER = offline
demo: $(VENV)/installed
	$(BIN)/ragkit index sample_docs -i $(VENV)/demo.ragkit || test $$? -eq 3
	$(BIN)/ragkit ask "В какой срок возвращается залог?" -i $(VENV)/demo.ragkit
	$(BIN)/ragkit ask "How long is the warranty?" -i $(VENV)/demo.ragkit

# A process for each core; tests of one file stay together, for they share what takes long to make.
test: $(VENV)/installed-for-tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

crash: $(VENV)/installed-for-tests
	PYTHONPATH=tests $(BIN)/python -m crash --long
	PYTHONPATH=tests $(BIN)/python -m kills
	PYTHONPATH=tests $(BIN)/python -m crowd

hostile: $(VENV)/installed-for-tests
	PYTHONPATH=tests $(BIN)/python -m hostile

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build

# The environment is made again, and the project installed again, when pyproject.toml has changed. The install is
# editable: a change of the code needs no new one.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ragkit needs Python 3.11 or later, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@
