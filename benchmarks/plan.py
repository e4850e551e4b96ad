"""What a run would take on another machine: time by stage, memory, GPU hours. Computed from sizes; nothing is run.

    python -m benchmarks.plan experiment=paper_tldr gpus=8 json=FILE
    python -m benchmarks.plan experiment=paper_tldr F=1,2,4,16,T
    python -m benchmarks.plan architecture=llama3_8b machine=a100 paper=true
    python -m benchmarks.plan product_rate=1.8e11 memory_bandwidth=2.9e10 check=round.json,step.json

F=1,2,T      how the stages share the time as the number of rounds grows
paper=true   the paper's main table (3 tasks x 3 losses x 3 methods x 3 seeds), with its settings for each task
check=FILES  predicts the results of benchmarks.step, .memory, .round, .sampling and .growth: the first measurement of
             each stage sets the share of the machine's rate that is reached, the others are predicted

The command takes the keys of src.train (see its --help) and plans exactly that run. Its own keys, with their values,
are in conf/plan.yaml. What the figures mean and leave out: docs/scaling.md.
"""

from dataclasses import asdict
from typing import Any

from benchmarks.arguments import carry_out
from benchmarks.outcome import write_result
from benchmarks.planning.command import Command, read_plan
from benchmarks.planning.paper import paper_table, show_paper
from benchmarks.planning.predictions import checked, show_checked
from benchmarks.planning.run_plan import job_of, planned, run_of, show_rounds, show_run
from src.runtime.report import Report


def measure(command: Command) -> dict[str, Any]:
    """Plans, prints the tables, writes the result, and returns it."""
    report = Report()
    first = next(iter(command.plans.values()))
    job = job_of(first)
    figures: dict[str, Any]
    with report.live():
        if command.check:
            figures = checked(command.check, job)
            show_checked(figures, report)
        elif len(command.plans) > 1:
            rows = {name: planned(job_of(plan), run_of(plan, plan.rounds[0])) for name, plan in command.plans.items()}
            figures = paper_table(rows, job.gpus)
            show_paper(figures, report)
        else:
            plans = [planned(job, run_of(first, F)) for F in first.rounds]
            figures = {"plans": plans}
            if len(plans) == 1:
                show_run(plans[0], job, report)
            else:
                show_rounds(plans, report)
        row = {
            "benchmark": "plan",
            **figures,
            "architecture": asdict(job.architecture),
            "hardware": asdict(job.hardware),
            "config": first.plain,
        }
        write_result(row, command.json, report)
    return row


if __name__ == "__main__":
    carry_out(__doc__ or "", lambda arguments: measure(read_plan(arguments)))
