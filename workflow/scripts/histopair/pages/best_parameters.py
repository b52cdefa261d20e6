"""A tuning's result: the best parameters as an entry of `methods`, and a figure of all trials."""

import pandas as pd
import yaml

from histopair.evaluation import metrics
from histopair.files import tables
from histopair.pages import style
from histopair.pages.style import MUTED, PALETTE


def write(history: str, name: str, best: str, svg: str) -> None:
    """Write the best entry and the figure of a tuning's history."""
    table, about = tables.read(history), tables.about(history)
    entry = about["entry"]
    tables.write_text(best, best_entry(table, name, entry, about["method"]))
    tables.write_text(svg, plot(table, entry))


def best_entry(table: pd.DataFrame, name: str, entry: dict, method: dict) -> str:
    """YAML to put under `methods`: the tuned method with the best parameters."""
    best = (metrics.sign(entry["metric"]) * table["value"]).idxmax()  # the first if tied
    row, tuned = table.loc[best], {"like": entry["method"]}
    for parameter in entry["space"]:
        value = _value(table.at[best, parameter], parameter, entry["space"])
        outer, _, inner = parameter.partition(".")
        if inner:  # a map replaces the one that `like` inherits, so it must be whole
            tuned[outer] = tuned.get(outer, dict(method[outer])) | {inner: value}
        else:
            tuned[outer] = value
    ties = int((table["value"] == row["value"]).sum())
    tied = f"; the first of {ties} trials with that value" if ties > 1 else ""
    comment = (
        f"# {name}: the best of {len(table)} trials on the validation split of {entry['dataset']}, "
        f"{entry['metric']} {row['value']:.4f}{tied}.\n"
    )
    if "fold_of" in entry:
        comment += (
            f"# They were chosen on samples that the other folds of {entry['fold_of']} test: judge "
            f"them on {entry['dataset']} alone.\n"
        )
    if row["not_converged"]:
        runs = f"{int(row['not_converged'])} of its {len(entry['seeds'])} runs"
        comment += f"# {runs} had not converged.\n"
    return comment + yaml.safe_dump({f"{name}-best": tuned}, sort_keys=False)


def _value(found: object, parameter: str, space: dict) -> object:
    """What a column holds, as its list has it: numbers beside words or null are texts there."""
    domain = space[parameter]
    while isinstance(domain, dict) and "same" in domain:
        domain = space[domain["same"]]
    plain = found.item() if hasattr(found, "item") else found
    listed = domain if isinstance(domain, list) else []
    return next((value for value in listed if str(value) == str(plain)), plain)


def plot(table: pd.DataFrame, entry: dict) -> str:
    """The value of each trial with the best so far, and a panel of its values per parameter.

    Parameters that copy another's value have no panel.
    """
    space = entry["space"].items()
    names = [name for name, domain in space if not (isinstance(domain, dict) and "same" in domain)]
    figure, (axes,) = style.panels(1, 1 + len(names), 2.6 * (1 + len(names)), 2.5, sharey=True)
    title = metrics.METRICS[entry["metric"]].title
    lower = metrics.sign(entry["metric"]) < 0
    so_far = table["value"].cummin() if lower else table["value"].cummax()
    axes[0].plot(table["trial"], table["value"], ".", color=MUTED)
    axes[0].step(table["trial"], so_far, where="post", color=PALETTE[0], label="best so far")
    axes[0].set_xlabel("trial")
    axes[0].set_ylabel(f"{title}, validation")
    axes[0].legend()
    for panel, name in zip(axes[1:], names, strict=True):
        values = table[name]
        if not pd.api.types.is_numeric_dtype(values):
            values = values.map(str)
        panel.plot(values, table["value"], ".", color=PALETTE[0])
        panel.set_xlabel(name)
    return style.svg(figure)
