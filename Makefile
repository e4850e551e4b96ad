# make setup | demo | test | test-fast | check | clean. Everything runs in .venv; nothing else has to be typed.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: setup demo test test-fast check clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch .venv/ready

demo: setup
	$(BIN)/python -m src.train

test: setup
	$(BIN)/python -m pytest -n 2 -m "not gpu"

test-fast: setup
	$(BIN)/python -m pytest -n 2 -m "not slow and not gpu"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .cache outputs
