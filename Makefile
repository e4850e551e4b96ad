# Everything is installed into .venv; `make help` lists the targets. The comment after ## is what `make help` prints.

# The versions of requires-python in pyproject.toml, newest first.
SUPPORTED := 3.13 3.12 3.11
BIN := .venv/bin

# A name on PATH proves nothing: pyenv's shims exist for versions that are not selected, and Debian's python3 comes
# without ensurepip, which a virtual environment needs. So each candidate is run.
USABLE := import ensurepip, sys, venv; sys.exit("%d.%d" % sys.version_info[:2] not in "$(SUPPORTED)".split())
PYTHON ?= $(shell for python in $(SUPPORTED:%=python%) python3 python; do \
	if $$python -c '$(USABLE)' 2>/dev/null; then echo $$python; break; fi; done)
# Compiling every module at installation takes twice the processor time of compiling those that are imported.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable

# Four seeds, each with its own SFT policy.
FIGURES = seed=0,1,2,3 evaluate.every=0
.PHONY: help demo setup figures test test-fast test-all test-index test-engines check reliability clean

help: ## This list.
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "make %-12s %s\n", $$1, $$2 }'

demo: .venv/installed ## Install the package without developers' tools, train the default experiment, and make its page.
	@$(BIN)/python -m src.train
	@$(BIN)/python analysis/aggregate.py

setup: .venv/ready ## Install the package with all that the tests and checks need.

figures: .venv/installed ## Figure 1 from nothing, under 20 minutes on two cores: runs in outputs/, figures and tables in figures/.
	$(BIN)/python -m sweeps.run sweeps/fig1.yaml $(FIGURES)
	$(BIN)/python analysis/aggregate.py --figures fig1,paired --out figures
	@echo 'What differences these seeds can show:'
	@$(BIN)/python -m sweeps.run sweeps/fig1.yaml $(FIGURES) --power

test: setup ## All tests but the longest ones; CI runs these.
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not nightly and not gpu"

test-fast: setup ## The tests that need neither a process of their own nor more than a few seconds.
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not nightly and not gpu"

test-all: setup ## All tests but those that need a GPU or a package index.
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not gpu and not index"

test-index: setup ## Resolve every extra under constraints.txt and build the wheel; needs a package index.
	$(BIN)/python -m pytest -m index

test-engines: setup ## Launchers on a real Slurm (needs slurm-wlm and munge), sampling on a real vLLM (installs its CPU build).
	tests/engines/slurm.sh
	tests/engines/vllm.sh

check: setup ## Lint, format and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

reliability: setup ## All of docs/reliability.md, for hours; CI runs a quick version with the tests.
	$(BIN)/python -m reliability.kills cases=100 stops=40 real=4
	$(BIN)/python -m reliability.damage cases=500
	$(BIN)/python -m reliability.crowd jobs=8
	$(BIN)/python -m reliability.fuzz
	$(BIN)/python -m reliability.long_run
	$(BIN)/python -m reliability.mutants

clean: ## Remove .venv, the cache and all runs in outputs/.
	rm -rf .venv .cache outputs

# Made once: a newer Python found later must not be mixed into an older one's environment. pip is installed last.
.venv/bin/pip:
	@test -n "$(PYTHON)" || { echo 'No usable Python: $(SUPPORTED) are supported, with the modules venv and ensurepip' \
		'(on Debian: python3-venv). PYTHON=path names one that is not on PATH.'; exit 1; }
	@$(PYTHON) -c '$(USABLE)' || { echo '$(PYTHON) cannot be used: $(SUPPORTED) are supported, with venv and ensurepip.'; \
		exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/pip
	@$(announce)
	$(INSTALL) .
	@touch $@

.venv/ready: pyproject.toml constraints.txt | .venv/bin/pip
	@$(announce)
	$(INSTALL) '.[dev]'
	@touch .venv/installed $@

# Measured on x86_64 with the pinned versions, on Python 3.12 and 3.13. `make setup` adds 90 MB of developers' tools.
define announce
echo "Installing into .venv ($$($(BIN)/python --version))."; test -e .venv/installed || case "$$(uname -s)" in \
Linux) echo 'PyTorch brings CUDA by default: 3.0 GB to download, 5.6 GB on disk, 1 minute of processor time. Its CPU build'; \
	echo 'is enough without a GPU: 0.4 GB to download. For the CPU build stop here (Ctrl-C) and type'; \
	echo '    PIP_EXTRA_INDEX_URL=URL make $(or $(MAKECMDGOALS),demo)'; \
	echo 'with the URL that pytorch.org shows for Linux, Pip, CPU. A CPU build in PIP_FIND_LINKS is taken by itself.';; \
*) echo 'About 0.3 GB to download, 1 minute of processor time.';; \
esac
endef
