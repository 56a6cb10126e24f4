"""The learning rate at each moment of a run: a function of how much of it is done, and of nothing else."""

from __future__ import annotations

import math

from corpuskit.pretrain.config import Optimizer


def learning_rate(optimizer: Optimizer, done: float) -> float:
    """The rate of the step that begins when a share of the run is done.

    It rises in a line over the warm-up, then falls to 0 as the schedule says: `linear`; `cosine` (Loshchilov & Hutter
    2017, "SGDR", ICLR); `one-minus-sqrt`, and `wsd` which stays at its highest until the decay begins and then falls
    as one minus a square root (Hägele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed Training
    Durations", NeurIPS); `constant` does not fall.

    Args:
        optimizer: its settings.
        done: from 0 to 1.
    """
    highest, warmup = optimizer.learning_rate, optimizer.warmup
    if done < warmup:
        return highest * done / warmup
    after = min(1.0, (done - warmup) / (1 - warmup))
    match optimizer.schedule:
        case "linear":
            return highest * (1 - after)
        case "cosine":
            return highest * (1 + math.cos(math.pi * after)) / 2
        case "one-minus-sqrt":
            return highest * (1 - math.sqrt(after))
        case "wsd":
            falling = (done - (1 - optimizer.decay)) / optimizer.decay
            return highest * (1 - math.sqrt(min(1.0, max(0.0, falling))))
    return highest
