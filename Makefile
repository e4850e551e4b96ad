# make setup | demo | figures | test | test-fast | test-all | check | reliability | clean. Everything runs in .venv; nothing else has to be typed.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: setup demo figures test test-fast test-all check reliability clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch .venv/ready

demo: setup
	$(BIN)/python -m src.train

# Figure 1 from nothing, in about 20 minutes on two cores: the runs go to outputs/, the figure and the tables to figures/.
figures: setup
	$(BIN)/python -m sweeps.run sweeps/fig1.yaml
	$(BIN)/python analysis/aggregate.py --figures fig1 --out figures

test: setup
	$(BIN)/python -m pytest -n 2 -m "not nightly and not gpu"

test-all: setup
	$(BIN)/python -m pytest -n 2 -m "not gpu"

test-fast: setup
	$(BIN)/python -m pytest -n 2 -m "not slow and not nightly and not gpu"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The whole version of docs/reliability.md; CI runs a quick one with the tests.
reliability: setup
	$(BIN)/python -m reliability.kills cases=100 stops=40 real=4
	$(BIN)/python -m reliability.damage cases=500
	$(BIN)/python -m reliability.crowd jobs=8
	$(BIN)/python -m reliability.fuzz
	$(BIN)/python -m reliability.long_run
	$(BIN)/python -m reliability.mutants

clean:
	rm -rf .venv .cache outputs
