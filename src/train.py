"""Train a policy from preferences, offline or online, and say how often it beats the human text.

python -m src.train loss=ipo F=2 -m seed=0,1,2
"""

import sys
from dataclasses import replace
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig

from src.command_line import CONF, flags_first, plain_config, problems_of
from src.errors import ConfigError, RunError
from src.stop import Stopped, listening


@hydra.main(config_path=str(CONF), config_name="train", version_base="1.3")
def job(composed: DictConfig) -> None:
    """One job of Hydra: a run in its folder. Another job of a multirun goes on when this one fails."""
    hydra_config = HydraConfig.get()
    place = hydra_config.runtime.output_dir
    # Here and not only in `main`: launchers start jobs in processes of their own.
    with listening():
        try:
            run(plain_config(composed), hydra_config.runtime.choices, Path(place))
        except Stopped as stopped:
            sys.stderr.write(f"\n{place}: {stopped}\n")
            raise
        except (ConfigError, RunError, FloatingPointError, OSError) as error:
            sys.stderr.write(f"\n{place}: {error}\n")
            raise CompactHydraException(f"failed: {place}") from None


def run(plain: dict, choices: dict, path: Path) -> None:
    """Runs a composed configuration in a folder; leaves a finished run alone.

    Args:
        plain: the configuration as plain dicts.
        choices: group -> the yaml chosen.
        path: the run's folder.

    Raises:
        ConfigError: if the configuration cannot run.
        RunError: if the run cannot go on.
        Stopped: if SIGTERM or SIGINT asked the run to leave.
    """
    # Torch and transformers are loaded for a run only: help and completion answer at once.
    from src.build import build_experiment, build_folder, config_yaml, quiet_libraries
    from src.config import read_config
    from src.processor import use_processor
    from src.report import Report, percent
    from src.run_lock import run_lock

    quiet_libraries()
    config, problems = read_config(plain)
    if config is None:
        raise ConfigError(problems)
    report = Report()
    folder = build_folder(config, plain, choices, path)
    # Hydra's launchers may run a job in a process of its own, which has to hear the signals too.
    with listening(), run_lock(path):
        row = None if config.force else folder.finished(config.T)
        if row is not None and row["config_hash"] == folder.identity["config_hash"]:
            folder.drop_checkpoint()
            report.say(f"{path} is finished (win rate {percent(row['win_rate'])}); force=true runs it again")
            return
        # Read before anything is written: data that is not sound, or not the run's, leaves the folder as it was.
        splits = config.data.load(config.task.name)
        folder = folder.made_from(splits.fingerprint())
        folder.open(config_yaml(plain), config.force)
        report.say(f"{path.name} in {path}")
        report.say(use_processor())
        with report.live(), config.logger.tracking(path, folder.identity, plain, report.say) as tracker:
            tracked = replace(folder, tracker=tracker)
            experiment = build_experiment(config, splits, tracked, report)
            report.start(config.T)
            experiment.run()


def main() -> None:
    """The command: checks all of it, then hands over to Hydra."""
    with listening():
        arguments = flags_first(sys.argv[1:])
        problems = problems_of(arguments)
        if problems:
            sys.exit(f"error: {ConfigError(problems)}")
        sys.argv[1:] = arguments
        job()


if __name__ == "__main__":
    main()
