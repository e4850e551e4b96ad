"""Online alignment of language models from preferences: F rounds of collecting, annotating and learning.

The data flow, one module a stage:

    prompts (data) -> allocate (allocation) -> collect -> annotate (oracles) -> score the reference (references, scorer)
    -> learn (losses, learner) -> ... F rounds ... -> evaluate -> results.jsonl

`src.train` runs it, `src.loop` is the algorithm, `src.build` makes the parts from a configuration.
"""
