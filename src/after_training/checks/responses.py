"""Check of the responses of the final evaluation: the saved policy samples them again."""

from src.after_training.check import AGREES, DIFFERS, Check, unknown
from src.after_training.evaluate_request import read_evaluate_request
from src.after_training.finished_run import FinishedRun
from src.after_training.head_to_head import head_to_head
from src.runtime.errors import ConfigError, RunError
from src.runtime.report import Report


def responses(run: FinishedRun, report: Report) -> Check:
    """Whether the saved policy gives the same responses when it is evaluated again."""
    name = "responses, sampled again"
    try:
        request = read_evaluate_request([f"policy={run.path}", f"split={run.result['split']}"])
        with report.live():
            again = [row["response"] for row in head_to_head(request, report).samples]
    except (ConfigError, RunError, FloatingPointError) as error:
        return unknown(name, " ".join(str(error).split()))
    reported = [row["response"] for row in run.samples_of(run.result)]
    equal = sum(text == now for text, now in zip(reported, again, strict=False))
    state = AGREES if reported == again else DIFFERS
    return Check(name, state, f"{equal} of {len(reported)} are the same")
