# Who reads what, by wildcards: functions for the rules in export.smk.

from histopair.export import lineage


def reads_notes(w):
    """Whether a method reads a text of each sample when it predicts."""
    return any(need.startswith("caption") for need in needs(w))


def exported_artifacts(w):
    """What an export reads of what the run read: texts that were for training are not asked for."""
    return {
        name: path
        for name, path in run_artifacts(w).items()
        if name in ("labels", "prompt_embeddings")
    }


def exported_encoders(w):
    encoders = [w.encoder, text_encoder(w)] if reads_notes(w) else [w.encoder]
    return list(dict.fromkeys(file for encoder in encoders for file in encoder_files(encoder)))


def described(w):
    """What a model card says of a run: its names, what it was made from, whether that is synthetic."""
    run = {name: w[name] for name in ("dataset", "encoder", "method", "seed")}
    return {
        "run": run,
        "sources": lineage.sources(config, run),
        "synthetic": dataset_entry(w.dataset)["synthetic"],
    }


def predicting_code(w):
    """Modules that an export finds by name; a recipe that cannot be exported has none."""
    recipe = method_of(w)["recipe"]
    found = (
        [f"histopair.predictors.{recipe}"] if recipe in configuration.known("predictors") else []
    )
    encoders = [w.encoder, text_encoder(w)] if reads_notes(w) else [w.encoder]
    return [*found, *dict.fromkeys(encoder_code(encoder) for encoder in encoders)]
