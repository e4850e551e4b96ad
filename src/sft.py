"""Make the SFT policy of a configuration, or look at the one that is there.

    python -m src.sft task=helpfulness

Takes the keys of `python -m src.train` (see its --help). A run with the same data, model and SFT settings starts from
this policy. Nobody has to make it first: a run makes a missing SFT policy itself.
"""

from src.cli.command import run_command
from src.cli.compose import compose_one
from src.cli.taken import TRAIN
from src.runtime.errors import ConfigError


def sft(arguments: list[str]) -> None:
    """Makes or finds the SFT policy of the command's configuration and prints some of its responses.

    Args:
        arguments: key=value each, as for `python -m src.train`.

    Raises:
        ConfigError: with every problem of the command.
        RunError: if the policy cannot be made.
    """
    job = compose_one(arguments, TRAIN)
    if job.problems:
        raise ConfigError(list(dict.fromkeys(job.problems)))
    # Brings torch, which a mistyped key does not have to wait for.
    from src.after_training.sft_policy import make_sft_policy

    make_sft_policy(job.plain)


def main() -> None:
    """The command."""
    run_command(__doc__, sft)


if __name__ == "__main__":
    main()
