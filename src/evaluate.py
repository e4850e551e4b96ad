"""The win rate of a saved policy, or of the responses of any system.

    python -m src.evaluate policy=RUN
    python -m src.evaluate responses=out.txt task=tldr data=files data.path=DIR judge=embedding judge.path=DIR

policy=PATH      a run's folder (its configuration supplies the defaults of all keys below), its policy/, a PEFT adapter
                 or a model folder; `sft` is the SFT policy of the configuration
base=DIR         the base model of an adapter, if the folder that the adapter names is gone
responses=FILE   instead of a policy: .txt, one response a line in the order of the split's rows, or JSON, CSV or
                 Parquet with a column "response", and "prompt" if the order is another
against=FILE     the opponent's responses, in the same formats; the labels by default
split=NAME       validation or test; by default the split of a run's final evaluation
results=FILE     appends a row like those of a run's results.jsonl
samples=FILE     writes a row for every prompt

task, data, model, judge, evaluate, seed, device, cache and ensemble are keys of `python -m src.train` (see its --help);
evaluate.prompts=N judges the first N prompts.
"""

from src.cli.command import run_command


def evaluate(arguments: list[str]) -> None:
    """Evaluates what the command names, writes the files that it asks for and prints a table.

    Args:
        arguments: key=value each, see --help.

    Raises:
        ConfigError: with every problem of the command, or if a file of responses does not fit the split.
        RunError: if a model cannot be loaded, or the judge fails. Nothing is written then.
    """
    from src.after_training.evaluate_request import read_evaluate_request

    request = read_evaluate_request(arguments)
    # The rest brings torch, which a mistyped key does not have to wait for.
    from src.after_training.head_to_head import head_to_head
    from src.after_training.result_row import append_row
    from src.after_training.win_rate_table import print_win_rates
    from src.build import quiet_libraries
    from src.runtime.cpu_threads import use_processor
    from src.runtime.report import Report
    from src.storage.files import write_text
    from src.storage.rows import dump_row

    quiet_libraries()
    use_processor()
    report = Report()
    with report.live():
        comparison = head_to_head(request, report)
    if request.samples:
        write_text(request.samples, "".join(map(dump_row, comparison.samples)))
    if request.results:
        append_row(request.results, comparison.row)
    print_win_rates(comparison, report)
    for path in filter(None, (request.results, request.samples)):
        report.say(f"Written: {path}")


def main() -> None:
    """The command."""
    run_command(__doc__, evaluate)


if __name__ == "__main__":
    main()
