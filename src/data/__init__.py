"""Where prompts and human texts come from: one file a source, all with `problems(task)` and `load(task)`."""
