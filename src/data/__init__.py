"""Sources of prompts and human texts: one file per source, all with `problems(task)`, `load(task)` and `rows(task)`."""
