"""Train a policy from preferences, offline or online, and report how often it
beats the human text.

    python -m src.train loss=ipo F=2
    python -m src.train loss=dpo,ipo seed=0,1,2 -m
"""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from src.cli.cells import show_multirun
from src.cli.compose import checked_command
from src.cli.conf import CONF, plain_config
from src.cli.experiment_keys import left_out_line, without_replaced
from src.cli.help import help_text
from src.cli.job_name import name_beside_others, share_words
from src.cli.next_commands import Typed, comparisons, say_what_next
from src.cli.overrides import flags_first
from src.cli.read_config import read_config
from src.cli.submitted_jobs import watch_submitted_jobs
from src.loggers.base import Untracked
from src.models import sharding
from src.run_folder.identity import build_folder, config_yaml
from src.run_folder.lock import run_lock
from src.run_folder.requeues import STUCK, is_stuck
from src.runtime import process_group, processes
from src.runtime.cpu_threads import use_processor
from src.runtime.device import choose_device
from src.runtime.errors import ConfigError, RunError
from src.runtime.report import Report
from src.runtime.result_table import percent
from src.runtime.signals import Stopped, ignore_received, listening
from src.storage.files import local_path
from src.storage.kept_hashes import keep_hashes_in


@hydra.main(config_path=str(CONF), config_name="train", version_base="1.3")
def job(composed: DictConfig) -> None:
    """One job of Hydra: a run in its folder. Another job of a multirun goes on when this one fails."""
    hydra_config = HydraConfig.get()
    place = hydra_config.runtime.output_dir
    started = time.monotonic()
    # Here and not only in `main`: launchers start jobs in processes of their own.
    with listening():
        try:
            fitting, left_out = without_replaced(composed, hydra_config)
            report = Report(name=name_beside_others(hydra_config))
            if left_out:
                report.say(left_out_line(hydra_config, left_out))
            plain, choices = plain_config(fitting, hydra_config.runtime.choices), hydra_config.runtime.choices
            ran = run(plain, choices, Path(place), report, hydra_config.overrides.task)
            if ran and hydra_config.mode != RunMode.MULTIRUN:
                say_what_next(report, Path(place), comparisons(Typed.of(hydra_config), choices, plain))
        except Stopped as stopped:
            stuck = stopped.to_requeue and is_stuck(Path(place), local_path(composed.cache), time.monotonic() - started)
            if processes.speaks_first():
                sys.stderr.write(f"\n{place}: {stopped}\n")
                sys.stderr.write(f"{place}: {STUCK}\n" if stuck else "")
            if not stuck:
                raise
            ignore_received()
            raise CompactHydraException(f"failed: {place}") from None
        except (ConfigError, RunError, FloatingPointError, OSError) as error:
            if processes.speaks_first():
                sys.stderr.write(f"\n{place}{processes.name()}: {error}\n")
            if not processes.is_main():
                sys.exit(1)
            raise CompactHydraException(f"failed: {place}") from None


def run(plain: dict, choices: dict, path: Path, report: Report | None = None, overrides: Sequence[str] = ()) -> bool:
    """Runs a composed configuration in a folder; leaves a finished run alone.

    Args:
        plain: the configuration as plain dicts.
        choices: group -> the yaml chosen.
        path: the run's folder.
        report: prints what happens; by default to standard output.
        overrides: as typed; `attempts.jsonl` keeps them.

    Returns:
        Whether the run has ended now; false if it was finished before.

    Raises:
        ConfigError: if the configuration cannot run.
        RunError: if the run cannot go on.
        Stopped: if SIGTERM or SIGINT asked the run to leave.
    """
    config, problems = read_config(plain)
    if config is not None and processes.world_size() > 1:
        problems = process_group.sharing_problems(choose_device(config.device))
        problems += sharding.problems(config.model.lora is not None, choices["reference"], choices["allocation"])
    if config is None or problems:
        raise ConfigError(problems)
    report = report or Report()
    keep_hashes_in(local_path(config.cache))
    folder = build_folder(config, plain, choices, path)
    # Hydra's launchers may run a job in a process of its own, which has to hear the signals too.
    with listening(), run_lock(path) if processes.is_main() else nullcontext():
        row = None if config.force else folder.finished(config.T)
        if row is not None and row["config_hash"] == folder.identity["config_hash"]:
            folder.drop_checkpoint()
            report.say(f"{path} is finished (win rate {percent(row['win_rate'])}); force=true runs it again")
            return False
        # Torch and transformers take seconds to import: only now is it sure that there is something to do.
        from src.build import build_experiment, check_rows, quiet_libraries
        from src.reward_fitting.proxy import with_fitted_proxy
        from src.run_folder.attempts import note_attempt

        quiet_libraries()
        # Read before anything is written: data that is not sound, or not the run's, leaves the folder as it was.
        splits = config.data.load(config.task.name)
        check_rows(config, splits)
        folder = folder.made_from(splits.fingerprint())
        folder.open(config_yaml(plain), config.force)
        each = f"{processes.world_size()} processes, each with " if processes.world_size() > 1 else ""
        processor = each + use_processor()
        if report.name:  # the table of the multirun has the folders
            report.say(f"started, {processor}")
        else:
            report.say(f"{path.name} in {path}")
            report.say(processor)
        note_attempt(path, overrides, choose_device(config.device))
        tracking = config.logger.tracking(path, folder.identity, plain, report.say)
        with report.live(), tracking if processes.is_main() else nullcontext(Untracked()) as tracker:
            tracked = replace(folder, tracker=tracker)
            fitted = with_fitted_proxy(config, splits, path, report)
            experiment = build_experiment(fitted, splits, tracked, report)
            report.start(config.T)
            experiment.run()
    return True


def main() -> None:
    """The command: checks all of it, then hands over to Hydra."""
    try:
        with listening(), process_group.joined():
            arguments = flags_first(sys.argv[1:])
            if helps := [argument for argument in arguments if argument in ("-h", "--help")]:
                arguments = [argument for argument in arguments if argument not in helps]
            multirun = not {"-m", "--multirun", "hydra.mode=MULTIRUN"}.isdisjoint(arguments)
            jobs, problems = checked_command(arguments)
            problems += process_group.multirun_problems(multirun)
            if problems:
                sys.exit(f"error: {ConfigError(problems)}" if processes.is_main() else 1)
            if helps:
                if processes.is_main():
                    sys.stdout.write(help_text(str(__doc__), arguments))
                return
            sys.argv[1:] = arguments
            if not multirun or not jobs:
                return job()
            watch_submitted_jobs()
            share_words([each.overrides for each in jobs])
            try:
                job()
            finally:
                show_multirun(jobs)
    except RunError as error:  # the processes did not come together
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
