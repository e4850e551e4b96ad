"""A composed job."""

from pathlib import Path

from src.cli.compose import Job


def job(**plain) -> Job:
    return Job(("seed=0",), Path("outputs/seed=0"), {"device": "cpu", "model": {"scratch": {}}} | plain, ())
