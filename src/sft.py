"""Make the SFT policy of a configuration, or look at the one that is there.

    python -m src.sft task=helpfulness

Takes the keys of `python -m src.train` (see its --help). A run with the same data, model and SFT settings starts from
what is made here; runs make it themselves when it is missing.
"""

import sys

from hydra import compose, initialize_config_dir

from src.cli.compose import problems_of
from src.cli.conf import CONF, plain_config
from src.runtime.errors import ConfigError, RunError
from src.runtime.printable import printable

SHOWN = 5


def show(plain: dict) -> None:
    """Makes or finds the SFT policy of a configuration; prints where it is, how it was made and what it says."""
    # Torch and transformers are loaded for the work only: a mistyped key is answered at once.
    import json
    from pathlib import Path

    from rich.table import Table

    from src.after_training.side_by_side import visible
    from src.build import build_sampler, build_sft_cache, quiet_libraries
    from src.cli.read_config import read_config
    from src.data.tokenized import tokenize
    from src.inference.scorer import scorer_for
    from src.models.template import template_of
    from src.runtime.cpu_threads import use_processor
    from src.runtime.report import Report
    from src.runtime.seeding import torch_stream

    config, problems = read_config(plain)
    if config is None:
        raise ConfigError(problems)
    quiet_libraries()
    report = Report()
    report.say(use_processor())
    splits = config.data.load(config.task.name)
    with report.live():
        cache = build_sft_cache(config, splits, report)
        policy = cache.policy(config.ensemble)
    base = cache.base()
    for folder in [Path(base), *(cache.member(index, base) for index in range(config.ensemble))]:
        made = folder / "made.json"
        facts = json.loads(made.read_text()) if made.is_file() else {"what": "base model, as given"}
        about = ", ".join(f"{name} {value:.4g}" for name, value in facts.items() if isinstance(value, int | float))
        report.say(f"{facts['what']}: {folder}" + (f" ({about})" if about else ""))
    task, template = config.task, template_of(policy, config.model.template)
    limits = task.max_prompt_tokens, "validation", SHOWN, task.max_label_tokens
    prompts = tokenize(splits.validation, template, *limits)
    generator = torch_stream(config.seed, "sft", device=policy.device)
    with policy.using(policy.mean()) as model:
        scorer = scorer_for(policy.model, config.model.tokens, report.warn)
        sampler = build_sampler(config, scorer, config.evaluate.temperature)
        drawn = sampler.sample(model, [prompt.ids for prompt in prompts], 1, template.end_ids, generator)
    table = Table("prompt", "SFT policy", "label", title="on validation", show_lines=True)
    for prompt, responses in zip(prompts, drawn, strict=True):
        table.add_row(*map(visible, (prompt.row.prompt[-200:], template.text(responses[0]), prompt.row.label)))
    report.console.print(table)


def main() -> None:
    """The command."""
    arguments = sys.argv[1:]
    flags = [argument for argument in arguments if argument.startswith("-")]
    if flags:
        known = flags[0] in ("-h", "--help")
        sys.exit(__doc__ if known else f"error: {flags[0]}: src.sft takes key=value only; {__doc__}")
    try:
        if problems := problems_of(arguments):
            raise ConfigError(problems)
        with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
            plain = plain_config(compose("train", overrides=arguments, return_hydra_config=True))
        show(plain)
    except (ConfigError, RunError, FloatingPointError, OSError) as error:
        sys.exit(f"error: {printable(str(error))}")


if __name__ == "__main__":
    main()
