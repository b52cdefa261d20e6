"""WiSE-FT: the mean of a model's weights before and after fine-tuning (Wortsman 2022)."""

from collections.abc import Callable, Iterable

from torch import Tensor

from histopair.training import checkpoint, loop

SHARES = tuple(tenth / 10 for tenth in range(11))


def mixed(before: dict[str, Tensor], after: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """(1 - share) before + share after, by name (Eq. 1); counters are those after."""
    return {
        name: before[name].lerp(tensor, share) if tensor.is_floating_point() else tensor
        for name, tensor in after.items()
    }


def stage(
    run, tuned: loop.Stage, before: dict[str, Tensor], fetch: Callable, shares: Iterable[float]
) -> loop.Stage:
    """A stage without epochs that predicts with the mixed weights that validation likes best.

    tuned: the finished stage; before: what `checkpoint.weights` of its model was at its start.
    """
    model, after, losses = tuned.model, checkpoint.weights(tuned.model), {}
    result = run.classifier(model, fetch, "wise", epochs=0)
    for share in shares:
        model.load_state_dict(mixed(before, after, share), strict=False)
        losses[share] = loop.evaluate(result, result.val, run.device)["task"]
        print(f"WiSE-FT: {share:.0%} fine-tuned, validation loss {losses[share]:.4f}", flush=True)
    best = min(losses, key=losses.get)
    model.load_state_dict(mixed(before, after, best), strict=False)
    train = loop.evaluate(result, result.train, run.device)["task"]
    row = {"stage": "wise", "epoch": 0, "share": best, "converged": True}
    for split, loss in (("train", train), ("val", losses[best])):
        row |= {f"{split}_loss": loss, f"{split}_task": loss}
    result.history = [row]
    return result
