"""Names that people type and read, in the order shown."""

# In the order of the page. A figure that is not among them comes after them.
FIGURES = (
    "fig1", "fig3", "fig4", "fig5", "paired", "proxy", "allocation", "budget", "clusters", "kl", "length", "ensemble",
    "cost", "improvement", "profiles",
)  # fmt: skip
FORMATS = ("svg", "png", "pdf")
TASKS = {"tldr": "TL;DR", "helpfulness": "Helpfulness", "harmlessness": "Harmlessness"}
LOSSES = {"dpo": "DPO", "ipo": "IPO", "slic": "SLiC", "robust": "Robust DPO", "simpo": "SimPO", "sppo": "SPPO"}


def title_of(task: str, loss: str) -> str:
    """The title of a (task, loss) pair's panel."""
    return f"{TASKS.get(task, task)}, {LOSSES.get(loss, loss)}"


def task_order(task: str) -> tuple[int, str]:
    """Sort key: the paper's tasks in the paper's order, then other tasks by name."""
    return (list(TASKS).index(task) if task in TASKS else len(TASKS), task)
