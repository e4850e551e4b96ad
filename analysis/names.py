"""Names that people type and read, in the order shown."""

FIGURES = (
    "fig1", "fig3", "fig4", "fig5", "allocation", "budget", "clusters", "kl", "length", "ensemble", "cost",
    "improvement", "profiles",
)  # fmt: skip
FORMATS = ("svg", "png", "pdf")
TASKS = {"tldr": "TL;DR", "helpfulness": "Helpfulness", "harmlessness": "Harmlessness"}
LOSSES = {"dpo": "DPO", "ipo": "IPO", "slic": "SLiC"}


def task_order(task: str) -> tuple[int, str]:
    """Sorts the paper's tasks as the paper does, others by name after them."""
    return (list(TASKS).index(task) if task in TASKS else len(TASKS), task)
