import math
from dataclasses import replace

import pytest

from benchmarks.planning import passes
from benchmarks.planning.hardware import PRESETS
from benchmarks.planning.measurements import Measured
from benchmarks.planning.predictions import calibrated
from tests.benchmarks.planning.example import JOB, SIZES


def test_the_first_measurement_of_a_stage_sets_its_share():
    truth = replace(PRESETS["h100"], share_learn=0.3, share_score=0.6, share_read=0.2, overlaps=False)

    def of(stage: str, pairs: int) -> Measured:
        work = {
            "learning": lambda machine: passes.step(replace(JOB, hardware=machine), pairs, SIZES).seconds,
            "reference": lambda machine: passes.scoring(replace(JOB, hardware=machine), pairs, 2, SIZES).seconds,
            "sampling": lambda machine: passes.sampling(replace(JOB, hardware=machine), pairs, 2, SIZES).seconds,
        }[stage]
        return Measured("here", stage, work(truth), work)

    every = [of(stage, pairs) for pairs in (4, 32) for stage in ("learning", "reference", "sampling")]
    found, used = calibrated(replace(truth, share_learn=1, share_score=1, share_read=1), every)
    assert used == every[:3]
    assert (found.share_learn, found.share_score, found.share_read) == pytest.approx((0.3, 0.6, 0.2), rel=1e-3)
    assert all(math.isclose(one.predict(found), one.value, rel_tol=1e-3) for one in every)
