"""A plan of two prompts and three pairs, written by hand."""

from src.allocation.plan import Plan

PLAN = Plan(
    allocation="balanced", mode="pilot", rule="pairs", fallback=None, budget=4, generated=8, annotated=4, duplicates=1,
    prompts=[{"id": 3, "cluster": 0, "depth": 3}, {"id": 5, "cluster": None, "depth": 1}],
    pairs=[
        {"prompt": 3, "responses": [0, 1], "cluster": 2, "closeness": 0.5, "chosen": True, "xy": [0.5, -1.0]},
        {"prompt": 3, "responses": [0, 2], "cluster": 2, "closeness": 0.4, "chosen": False, "xy": [0.5, 1.0]},
        {"prompt": 5, "responses": [0, 1], "cluster": 0, "closeness": 0.1, "chosen": True, "xy": [0.0, 1.0]},
    ],
    seconds={"embed": 1.0, "sample": 2.0, "features": 3.0, "cluster": 4.0},
)  # fmt: skip
