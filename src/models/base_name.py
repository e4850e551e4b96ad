"""What a base model is called on other machines."""

from pathlib import Path

from src.storage.files import is_local, local_path


def portable_base(base: str) -> tuple[str, str | None] | None:
    """The hub name of a base model and its revision.

    Args:
        base: the folder or hub name that the model was loaded from.

    Returns:
        The name, and the revision where the model is one snapshot of the hub's cache; None for any other folder, which
        has no name on other machines.
    """
    if not is_local(base):
        return base, None
    parts = local_path(base).absolute().parts
    # The hub's cache: models--ORGANIZATION--NAME/snapshots/REVISION.
    if len(parts) >= 3 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return parts[-3].removeprefix("models--").replace("--", "/"), parts[-1]
    return None


def spoken_base(base: str) -> str:
    """A base model's name for readers: its hub name, or the last part of its folder."""
    portable = portable_base(base)
    return portable[0] if portable else Path(base).name
