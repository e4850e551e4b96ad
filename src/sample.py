"""The responses of policies, side by side.

    python -m src.sample policy=RUN
    python -m src.sample policy=sft,RUN,OTHER split=test n=3
    python -m src.sample policy=RUN prompt="How do I keep bread fresh?" k=4 temperature=1

policy=A[,B,..]  runs' folders (the configuration of the first run supplies the defaults of all keys below), their
                 policy/, PEFT adapters or model folders, all of one base model; `sft` is the SFT policy of the
                 configuration
base=DIR         the base model of adapters, if the folder that they name is gone
prompt=TEXT      a prompt of your own; or
split=NAME       train, validation (the default) or test: n=5 prompts of it, drawn with the seed
k=1              responses of each policy to a prompt
temperature=1    0 is greedy; by default evaluate.temperature
json=FILE        writes the prompts and all responses

task, data, source, model, seed, device, cache, ensemble and evaluate.temperature are keys of `python -m src.train` (see
its --help).
"""

import json

from src.cli.command import run_command


def sample(arguments: list[str]) -> None:
    """Asks the policies that the command names, writes the file that it asks for and prints a table.

    Args:
        arguments: key=value each, see --help.

    Raises:
        ConfigError: with every problem of the command, or if the data lacks the split.
        RunError: if a policy cannot be loaded, or has another base model than the first policy.
    """
    from src.after_training.sample_request import read_sample_request

    request = read_sample_request(arguments)
    # The rest brings torch, which a mistyped key does not have to wait for.
    from src.after_training.ask import ask
    from src.after_training.side_by_side import side_by_side
    from src.build import quiet_libraries
    from src.runtime.cpu_threads import use_processor
    from src.runtime.report import Report
    from src.storage.files import write_text

    quiet_libraries()
    use_processor()
    report = Report()
    with report.live():
        sayings = ask(request, report)
    if request.json:
        content = {"temperature": request.temperature, "sayings": [vars(saying) for saying in sayings]}
        write_text(request.json, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    source = "the typed prompt" if request.prompt else f"{len(sayings)} prompts of {request.split}"
    decoding = "greedy" if request.temperature == 0 else f"temperature {request.temperature:g}"
    report.console.print(side_by_side(sayings, f"{source}, {decoding}", report.console.width))
    if request.k > 1 and request.temperature == 0:
        report.say("Greedy responses are all the same; temperature=1 draws different ones.")
    if request.json:
        report.say(f"Written: {request.json}")


def main() -> None:
    """The command."""
    run_command(__doc__, sample)


if __name__ == "__main__":
    main()
