"""Whose work a trained model stands on: data, encoders and texts, each with its licence."""

from histopair.plan import entries, recipes


def sources(config: dict, run: dict) -> list[dict]:
    """What a run was made from, itself and through its encoders: role, name, licence, description.

    run: dataset, encoder, method. Encoders trained here bring what they were trained on.
    """
    method = entries.of_run(config, run)
    found = [_source(config, "datasets", "training data", run["dataset"])]
    found += _encoder(config, "encoder", run["encoder"])
    if method.get("text_encoder"):
        found += _encoder(config, "text encoder", method["text_encoder"])
    if "pairing" in method:
        paired = recipes.reads_reports(method)
        retrieved = paired and recipes.pairing_source(method) == method["retriever"]
        role = "retriever" if retrieved else "teacher while training"
        found += _encoder(config, role, method["retriever"])
    if recipes.reads_reports(method):
        corpus = entries.corpus_of(config, run["dataset"], method)
        found.append(_source(config, "corpora", "reports", corpus))
    return list({(source["role"], source["name"]): source for source in found}.values())


def _source(config: dict, kind: str, role: str, name: str) -> dict:
    entry = config[kind][name]
    if kind == "datasets":
        whole = config["datasets"][entries.base(config, name)]
        entry = {**whole, **{key: value for key, value in entry.items() if value}}
    return {
        "role": role,
        "name": name,
        "licence": entry.get("licence") or "unknown",
        "description": entry.get("description", ""),
    }


def _encoder(config: dict, role: str, name: str) -> list[dict]:
    entry = config["encoders"][name]
    train = entry.get("train")
    source = _source(config, "encoders", role, name)
    if not train:
        model = entry.get("weights") or entry["model"]
        return [source | {"description": f"{source['description']} ({model})".strip()}]
    found = [source, _source(config, "datasets", f"data of {name}", train["dataset"])]
    for corpus in train.get("corpora", []):
        found.append(_source(config, "corpora", f"reports of {name}", corpus))
    for kind, tower in train.get("towers", {}).items():
        found += _encoder(config, f"{kind} tower of {name}", tower)
    return found
