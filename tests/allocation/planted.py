"""Directions with a known structure."""

import numpy as np


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def around_lines(
    clusters: int, each: int, dimensions: int, noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around random lines with noise of so many times the signal's length, of random sign; their lines."""
    centers = unit(rng.normal(size=(clusters, dimensions)))
    truth = np.repeat(np.arange(clusters), each)
    spread = noise * unit(rng.normal(size=(len(truth), dimensions)))
    signs = rng.choice([-1.0, 1.0], size=(len(truth), 1))
    return unit(signs * (centers[truth] + spread)), truth
