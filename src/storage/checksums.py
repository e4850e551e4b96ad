"""The checksums of a finished run's files, in the format of `sha256sum`; `sha256sum -c SHA256SUMS` checks them too."""

from pathlib import Path

from src.storage.files import write_text
from src.storage.signed import checksum

SUMS = "SHA256SUMS"
# Folders without checksums: they change later, or hold no results.
NOT_SUMMED = ("wandb", "checkpoint")


def write_sums(folder: Path) -> None:
    """Writes the checksums of a run's files, except hidden files and the folders NOT_SUMMED.

    Raises:
        RunError: if the file of checksums cannot be written.
    """
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    kept = [name for name in names if name.split("/")[0] not in (*NOT_SUMMED, SUMS) and not name.startswith(".")]
    write_text(folder / SUMS, "".join(f"{checksum(folder / name)}  {name}\n" for name in kept))


def damage(folder: Path, below: tuple[str, ...] = ("",)) -> list[str]:
    """Which files differ from those that the finished run wrote, a line each.

    Args:
        folder: a run's folder; one without checksums has no damage.
        below: prefixes of the names of the files to check.
    """
    sums = folder / SUMS
    if not sums.is_file():
        return []
    problems = []
    for number, line in enumerate(sums.read_text(encoding="utf-8", errors="replace").split("\n")[:-1], 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or not (folder / name).resolve().is_relative_to(folder.resolve()):
            problems.append(f"{sums}, line {number}: no checksum; the file is damaged")
        elif name.startswith(below):
            file = folder / name
            if not file.is_file():
                problems.append(f"{file} is missing, and {SUMS} lists it")
            elif checksum(file) != digest:
                problems.append(f"{file} is damaged: its checksum is not that of {SUMS}")
    return problems or ([] if sums.stat().st_size else [f"{sums} is empty"])


def policy_folder(folder: Path) -> Path:
    """The folder of a policy: `policy/` in a run's folder, else the folder itself."""
    return folder / "policy" if (folder / "policy").is_dir() else folder
