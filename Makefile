# Two commands on a fresh machine: `make demo` and `make test`. Both install what they need into .venv first.
PYTHON ?= python3.11
# Pinned together: torch and the torchvision of the same release. On a GPU machine: make TORCH="torch torchvision" …
TORCH ?= torch==2.13.0 torchvision==0.28.0
BIN := .venv/bin

.PHONY: demo test lint style loaders loaders-floor install clean

# The corpus whose shards `make loaders` and `make loaders-floor` read.
CORPUS ?= runs/miniature/corpus

demo: install
	$(BIN)/underpaint build recipes/miniature.yaml
	$(BIN)/underpaint verify runs/miniature/corpus
	$(BIN)/underpaint report recipes/miniature.yaml

test: lint
	$(BIN)/python -m pytest

style: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lint: style
	mkdir -p build/types && ln -sfn ../.. build/types/underpaint && ln -sfn ../../benchmarks build/types/benchmarks
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml && ../../$(BIN)/lint-imports ../../pyproject.toml

loaders: install
	$(BIN)/python tests/loaders.py $(CORPUS)

# The oldest `datasets` that docs/format.md promises, beside the libraries of its time.
loaders-floor: .venv-floor/installed
	CORPUS=$(abspath $(CORPUS)) .venv-floor/bin/python -m pytest --noconftest -p no:cacheprovider tests/test_loaders.py -k datasets
	.venv-floor/bin/python tests/loaders.py $(CORPUS) datasets

.venv-floor/installed:
	$(PYTHON) -m venv .venv-floor
	.venv-floor/bin/python -m pip install --quiet "datasets==2.21.0" "pyarrow<21" "huggingface_hub<1" pillow pytest
	touch $@

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv .venv-floor runs/miniature
