#!/bin/sh
# Collects what `python -m benchmarks.gpu` needs beyond torch, transformers, peft, accelerate, matplotlib, pandas, rich and
# pytest, as wheels for a machine with a GPU and no network:
#
#     sh benchmarks/wheels.sh wheels 3.12
#
# Copy the folder and this checkout to that machine, and there, in the checkout:
#
#     python3 -m pip install --no-index --no-deps --target site wheels/*.whl
#     PYTHONPATH=site python3 -m benchmarks.gpu out=acceptance
set -eu
cd "$(dirname "$0")/.."
folder=${1:?expected a folder for the wheels, and the version of Python there: sh benchmarks/wheels.sh wheels 3.12}
version=${2:-3.12}
python=.venv/bin/python
[ -x "$python" ] || python=python3
pinned() { for name in "$@"; do grep -i "^$name==" constraints.txt; done; }
# trl is a benchmark's peer, which constraints.txt pins with the others. antlr4 comes as a source archive, all the others as
# wheels without compiled code, but for xxhash and pyarrow, which datasets needs and transformers does not bring.
"$python" -m pip download --quiet --no-deps --only-binary=:all: --implementation cp --python-version "$version" \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --dest "$folder" \
    $(pinned hydra-core omegaconf datasets dill multiprocess trl filelock threadpoolctl)
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$folder" $(pinned antlr4-python3-runtime)
du -sh "$folder"
