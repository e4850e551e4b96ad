"""A list of folders in one argument: A,B where the folders of runs may themselves have commas in their names."""

from src.storage.files import local_path


def split_folders(text: str) -> list[str]:
    """Splits a list at its commas, but for those in the name of a folder that exists.

    Args:
        text: as typed, "outputs/F=2,seed=0,outputs/F=2".

    Returns:
        The parts, "outputs/F=2,seed=0" and "outputs/F=2" if both are folders; the longest name that is one counts.
    """
    folders, parts = [], text.split(",")
    while parts:
        sizes = range(len(parts), 0, -1)
        size = next((size for size in sizes if local_path(",".join(parts[:size])).is_dir()), 1)
        folders.append(",".join(parts[:size]).strip())
        parts = parts[size:]
    return folders
