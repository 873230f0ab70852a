# The targets are what CI runs. `make demo` and `make test` are the two commands of the README.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test format lint types layers unit clean

demo: $(VENV)/demo.stamp
	$(BIN)/python -m export resnet20-digits --onnx
	$(BIN)/python -m runtime verify artifacts/resnet20-digits
	$(BIN)/python -m runtime classify artifacts/resnet20-digits export/samples/digits --top 3

test: format lint types layers unit

format: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

layers: $(VENV)/dev.stamp
	$(BIN)/lint-imports

# One process a core, one thread each: arithmetic threads that wait for each other cost more than they do.
unit: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

# A stamp is newer than pyproject.toml exactly while what it names is installed: no reinstall on a second run.
$(VENV)/demo.stamp: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[export]'
	touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/demo.stamp

clean:
	rm -rf $(VENV) artifacts .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
