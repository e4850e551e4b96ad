from dataclasses import replace

from benchmarks.planning.cost import Cost, bounded
from benchmarks.planning.hardware import Hardware


def test_time_is_what_binds_or_where_nothing_overlaps_the_sum():
    one = Hardware(10, 10, 5, 1, 1, 1, 3, 1, 1, 0.5)
    apart = replace(one, overlaps=False)
    assert bounded(one, 1, 20, 30, 10, 1).seconds_by == {"memory": 12}
    assert bounded(apart, 1, 20, 30, 10, 1).seconds_by == {"products": 2, "memory": 12, "launches": 3}
    assert bounded(one, 1, 20, 30, 10).seconds_by == {"memory": 6}  # from end to end, at full bandwidth
    assert Cost().bound == "" and Cost(seconds_by={"link": 1, "disk": 2}).bound == "disk"
