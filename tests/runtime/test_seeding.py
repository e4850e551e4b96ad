import itertools

import numpy as np
import torch

from src.runtime.seeding import numpy_stream, stream_seed, torch_stream

STREAMS = [(0,), (1,), (0, "collect"), (0, "collect", 0), (0, "collect", 1), (1, "collect", 0), (0, "annotate", 0)]


def test_streams_differ_by_seed_and_by_every_part_of_the_name():
    first = {stream: tuple(numpy_stream(*stream).random(3)) for stream in STREAMS}
    assert len(set(first.values())) == len(STREAMS)
    first = {stream: tuple(torch.rand(3, generator=torch_stream(*stream)).tolist()) for stream in STREAMS}
    assert len(set(first.values())) == len(STREAMS)


def test_the_same_name_is_the_same_stream():
    for stream in STREAMS:
        assert numpy_stream(*stream).random() == numpy_stream(*stream).random()
        assert torch.equal(*(torch.rand(3, generator=torch_stream(*stream)) for _ in range(2)))


def test_seeds_are_the_same_in_every_process_and_for_good():
    # Python's own hash of a text changes with every process; a change of these numbers would change every run.
    # SHA-256 of '[0, "collect", 3]' and '[7]', their first eight bytes without the last bit.
    assert stream_seed(0, "collect", 3) == 2078557127302525525
    assert stream_seed(7) == 3193050612831425908


def test_names_do_not_run_into_each_other():
    assert len({stream_seed(0, "a/b"), stream_seed(0, "a", "b"), stream_seed(0, "ab"), stream_seed(0, "a, b")}) == 4
    assert stream_seed(0, "a", 1) != stream_seed(0, "a", "1")


def test_a_stream_does_not_depend_on_the_use_of_others():
    alone = numpy_stream(0, "collect", 0).random(4).tolist()
    numpy_stream(0, "evaluate", 0).random(100)
    stream = numpy_stream(0, "collect", 0)
    half = stream.random(2).tolist()
    numpy_stream(0, "annotate", 0).random(7)
    torch_stream(0, "collect", 0).seed()
    np.random.seed(1)
    torch.manual_seed(1)
    assert half + stream.random(2).tolist() == alone


def test_making_a_stream_leaves_the_global_generators_alone():
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1).item(), np.random.random()
    torch.manual_seed(0)
    np.random.seed(0)
    numpy_stream(3, "a").random()
    torch.rand(1, generator=torch_stream(3, "a"))
    assert (torch.rand(1).item(), np.random.random()) == expected


def test_seeds_are_of_63_bits():
    seeds = [stream_seed(seed, name) for seed, name in itertools.product(range(50), ("a", "b"))]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62
