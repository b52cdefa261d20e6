"""Sites: the hospital or centre that each sample comes from, and folds that hold one out."""

import numpy as np
import pandas as pd

from histopair.errors import InputError
from histopair.files import audit, folding

# TCGA's barcode: project, tissue source site, participant.
BARCODE = r"^TCGA-([A-Z0-9]{2})-[A-Z0-9]{4}"


def of_samples(frame: pd.DataFrame, entry: dict, place: str) -> tuple[pd.DataFrame, list[dict]]:
    """The frame with one spelling of each `site`, if it has sites, and audit rows.

    With `site: tcga` the site is read from each sample's group, or from its id if it has none.
    Raises InputError for one that is no TCGA barcode, and if only some samples have a site.
    """
    if entry.get("site"):
        frame = frame.assign(site=_of_barcodes(frame, place))
    if "site" not in frame:
        return frame, []
    without = frame.site.isna()
    if without.any():
        first = frame.sample_id[without].iloc[0]
        problem = f"{without.sum()} samples have no site, such as {first}"
        raise InputError(place, problem, "Fill the column, or remove it")
    site, united = folding.united(frame.site, "site")
    return frame.assign(site=site), united


def folds(frame: pd.DataFrame, sites: list[str], name: str) -> np.ndarray:
    """The fold 1, 2 ... of each sample, (n,): the place of its site in `sites`.

    Raises InputError if these are not exactly the sites of the samples.
    """
    if "site" not in frame:
        problem = "`split.sites` names sites, and its samples have none"
        raise InputError(name, problem, "Give its table a column `site`, or set `site: tcga`")
    present = set(frame.site)
    wrong = [f"{site!r} has no sample" for site in sites if site not in present]
    wrong += [f"{site!r} is not named" for site in sorted(present - set(sites))]
    if wrong:
        remedy = f"Name exactly its sites under `split.sites`: {', '.join(sorted(present))}"
        raise InputError(name, f"`split.sites` is wrong: {'; '.join(wrong)}", remedy)
    return frame.site.map({site: fold for fold, site in enumerate(sites, 1)}).to_numpy(int)


def crossing(frame: pd.DataFrame) -> list[dict]:
    """Warn of groups with samples of several sites: holding out a site does not hold them out."""
    several = int((frame.groupby("group").site.nunique() > 1).sum())
    reason = "groups with samples of several sites: they are on both sides of a split by site"
    return [audit.row("split", "warned", "site", reason, count=several)] if several else []


def _of_barcodes(frame: pd.DataFrame, place: str) -> pd.Series:
    barcodes = frame.group.where(frame.group.notna(), frame.sample_id)
    site = barcodes.str.upper().str.extract(BARCODE)[0]
    wrong = site.isna()
    if wrong.any():
        problem = f"`site: tcga`, but {barcodes[wrong].iloc[0]!r} is no TCGA barcode"
        raise InputError(place, problem, "Remove `site`, or name patients as TCGA-XX-XXXX")
    return site
