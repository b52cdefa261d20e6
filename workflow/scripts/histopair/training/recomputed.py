"""Activations that the backward pass computes again instead of keeping them (Chen 2016).

It saves memory that grows with the number of blocks, for a third more time.
"""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from histopair.errors import InputError

REMEDY = "Set the method's checkpointing to false; accumulate saves memory, too"


def switch_on(tower: nn.Module, encoder: str) -> None:
    """Keep only what enters each block of a tower, which trains, in place.

    Raises InputError for a tower that cannot do so, and for one with batch statistics: these would
    be updated twice a step.
    """
    if any(isinstance(module, _BatchNorm) for module in tower.modules()):
        problem = "checkpointing would update its batch statistics twice a step"
        raise InputError(f"encoder {encoder}", problem, REMEDY)
    try:
        tower.set_grad_checkpointing(True)
    except (AssertionError, AttributeError) as error:
        problem = "its library cannot compute activations again"
        raise InputError(f"encoder {encoder}", problem, REMEDY) from error
