"""From runs to figures: `python analysis/aggregate.py` reads what runs left and writes tables, figures and a page.

    runs (outputs/ or W&B) ──▶ comparability ──▶ cells ──▶ intervals ──▶ tables/*.csv ──▶ figures, report.html

Nothing here imports `src`: the analysis depends only on the files that runs leave.
"""
