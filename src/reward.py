"""Fit a reward model on pairs, and say how far it can be trusted on pairs of held-out prompts.

    python -m src.reward task=helpfulness
    python -m src.reward pairs=RUN_FOLDER[,RUN_FOLDER] out=DIR

The pairs are sampled from the SFT policy and annotated by the oracle, or the data's own (collect=dataset), or those of
runs (pairs=). The folder written is the DIR of oracle=reward_model oracle.path=DIR and judge=reward_model
judge.path=DIR. conf/reward.yaml lists the command's own keys with their values; task, data, model, oracle, allocation,
collect, ensemble, seed, device, cache and force are keys of `python -m src.train` (see its --help).
"""

from src.cli.command import run_command
from src.cli.compose import compose_one
from src.runtime.errors import ConfigError


def reward(arguments: list[str]) -> None:
    """Fits the reward model that the command names and prints how far it can be trusted.

    Args:
        arguments: key=value each, see --help.

    Raises:
        ConfigError: with every problem of the command.
        RunError: if the model cannot be made.
        FloatingPointError: if the loss is not finite.
    """
    from src.reward_fitting.config import TAKEN, pairs_as_list

    job = compose_one([pairs_as_list(argument) for argument in arguments], TAKEN)
    if job.problems:
        raise ConfigError(list(dict.fromkeys(job.problems)))
    # Brings torch, which a mistyped key does not have to wait for.
    from src.reward_fitting.make import make

    make(job.plain)


def main() -> None:
    """The command."""
    run_command(__doc__, reward)


if __name__ == "__main__":
    main()
