"""Values that make the jobs of sweeps/fig1.yaml take seconds."""

# The figure's own file at a size of seconds: `experiment` is taken by the methods, so smoke's values are typed out.
TINY = (
    "task=tldr", "seed=0", "T=4", "batch_size=4", "data.train=64", "data.validation=8", "data.test=12",
    "model.scratch.vocab_size=600", "model.scratch.layers=1", "model.scratch.hidden=32", "model.scratch.heads=2",
    "model.scratch.intermediate=64", "model.sft.steps=12", "model.sft.batch_size=8", "task.max_new_tokens=12",
)  # fmt: skip
