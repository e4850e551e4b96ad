import pytest

from benchmarks import machine
from benchmarks.planning import hardware
from benchmarks.planning.hardware import hardware_of
from src.runtime.device import choose_device


def test_here_is_measured_but_for_what_is_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(machine.RATE_SIZE, "cpu", 64)
    monkeypatch.setitem(hardware.READ, "cpu", 2**16)
    found = hardware_of("here", choose_device("cpu"), {"product_rate": 7.0})
    assert found.product_rate == 7 and found.float32_rate > 1e6 and found.memory_bandwidth > 1e6
    assert not found.overlaps and found.layer_seconds == 0
