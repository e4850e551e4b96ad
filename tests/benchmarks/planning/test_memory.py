from dataclasses import replace

from benchmarks.planning.memory import memory
from tests.benchmarks.planning.example import JOB, RUN


def test_members_share_a_pass_and_have_memory_of_their_own():
    one, five = (memory(replace(JOB, members=n), RUN) for n in (1, 5))
    for part in ("adapters", "AdamW"):
        assert five["learning"][part] == 5 * one["learning"][part] > 0
    assert five["learning"]["weights"] == one["learning"]["weights"] == 2 * JOB.architecture.parameters
    assert memory(replace(JOB, recomputes=True), RUN)["learning"]["activations"] < five["learning"]["activations"]
    assert memory(replace(JOB, tokens=4096), RUN)["learning"]["activations"] < five["learning"]["activations"]
    assert five["collecting"]["policies"] == 2 * five["learning"]["policies"]
    assert one["collecting"] | {"policies": 0} == memory(replace(JOB, members=1), replace(RUN, F=1))["collecting"] | {
        "policies": 0
    }
