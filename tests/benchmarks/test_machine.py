import subprocess
import sys

import torch

from benchmarks.machine import facts, process_settings, product_rate

CPU = torch.device("cpu")


MEASURED = """
import torch
from benchmarks.machine import forget_peak, peak_bytes, resident_bytes
CPU = torch.device("cpu")
torch.ones(2**26)
forget_peak(CPU)
before = resident_bytes(CPU)
assert before <= peak_bytes(CPU) + 2**24
tensor = torch.ones(2**26)
assert peak_bytes(CPU) > before + tensor.numel() * 4 * 0.9
"""


def test_the_peak_is_of_what_was_taken_since_it_was_forgotten():
    # Alone: a process that keeps what earlier tests have freed takes nothing new.
    subprocess.run([sys.executable, "-c", MEASURED], check=True)


def test_threads_are_pinned_only_where_they_fill_the_machine():
    assert "GOMP_CPU_AFFINITY" not in process_settings(10_000)
    cores = facts(CPU, 1)["cores"]
    assert len(process_settings(cores)["GOMP_CPU_AFFINITY"].split()) == cores


def test_the_facts_name_what_is_installed():
    found = facts(CPU, 3)
    assert found["versions"]["torch"] == torch.__version__ and found["threads"] == 3 and found["cpu"]


def test_the_rate_is_of_products():
    assert 1e8 < product_rate(CPU, torch.float32, times=1) < 1e14
