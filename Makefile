# Two commands on a fresh machine: `make demo` and `make test`. Both install what they need into .venv first.
PYTHON ?= python3.11
# Pinned together: torch and the torchvision of the same release. On a GPU machine: make TORCH="torch torchvision" …
TORCH ?= torch==2.13.0 torchvision==0.28.0
BIN := .venv/bin

.PHONY: demo test lint install clean

demo: install
	$(BIN)/underpaint build recipes/miniature.yaml
	$(BIN)/underpaint verify runs/miniature/corpus
	$(BIN)/underpaint report recipes/miniature.yaml

test: lint
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv runs/miniature
