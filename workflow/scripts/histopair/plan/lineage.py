"""Whose work a trained model builds on: data, encoders and texts, each with its licence."""

from histopair.plan import entries, recipes


def sources(config: dict, run: dict) -> list[dict]:
    """What a run was made from, directly or by its encoders: role, name, licence, description.

    run: dataset, encoder, method. Encoders trained here bring what they were trained on.
    """
    method = entries.of_run(config, run)
    parts = [_source(config, "datasets", "training data", run["dataset"])]
    parts += _encoder(config, "encoder", run["encoder"])
    if method.get("text_encoder"):
        parts += _encoder(config, "text encoder", method["text_encoder"])
    if "pairing" in method:
        paired = recipes.reads_reports(method)
        retrieved = paired and recipes.pairing_source(method) == method["retriever"]
        role = "retriever" if retrieved else "teacher while training"
        parts += _encoder(config, role, method["retriever"])
    if recipes.reads_reports(method):
        corpus = entries.corpus_of(config, run["dataset"], method)
        parts.append(_source(config, "corpora", "reports", corpus))
    if teacher := entries.teacher_of(config, run):
        its_own = sources(config, teacher)[1:]  # its training data is the student's, too
        parts += [source | {"role": f"{source['role']} of the teacher"} for source in its_own]
    return list({(source["role"], source["name"]): source for source in parts}.values())


def evidence(config: dict, corpus: str | None) -> list[dict]:
    """The source of reports that travel with an export, if any do."""
    return [_source(config, "corpora", "reports as evidence", corpus)] if corpus else []


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
    source = _source(config, "encoders", role, name)
    if not (train := entry.get("train")):
        model = entry.get("weights") or entry["model"]
        return [source | {"description": f"{source['description']} ({model})".strip()}]
    parts = [source, _source(config, "datasets", f"data of {name}", train["dataset"])]
    for corpus in train.get("corpora", []):
        parts.append(_source(config, "corpora", f"reports of {name}", corpus))
    for kind, tower in train.get("towers", {}).items():
        parts += _encoder(config, f"{kind} tower of {name}", tower)
    return parts
