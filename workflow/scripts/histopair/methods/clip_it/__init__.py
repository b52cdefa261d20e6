"""CLIP-IT: a paired report's text, distilled into the vision backbone (arXiv 2504.16181).

Text stage: the retriever's text tower (LoRA) and a head learn the class from the paired texts,
Eq. 2. Main stage: the backbone (LoRA) learns the class and, through g, the text's embedding,
Eqs. 3 and 4; vision logits and text-branch logits are fused by a linear layer. At inference the
text branch reads g(v): no text, no text tower. Ablations and faults of the published code are
values of the parameters; the defaults are the method as it should be.

A paired report is a function of the image, through the retriever, or of chance. Two teachers
without reports show what it adds (`teacher_of`): the retriever's embedding of the image itself, and
the prompt of the label that the sample is trained on anyway. Rivals of its loss have the same text
stage (`distillation`): among them the text classifier's soft labels in place of embeddings.

text_stage    the classifier of the texts, which teaches
students      the models that learn from it on images, and the distillation loss
folded        a trained student, reduced to what inference needs
"""

from collections.abc import Callable

from torch import nn

from histopair.images import pixels
from histopair.methods.clip_it import students, text_stage
from histopair.training import adapted_images, heads, loop, lora

PARAMETERS = {
    "pairing": "retrieved",
    "retriever": "",
    "corpus": "",
    "rank": 1,
    "wrong_pairs": 0.0,
    "word_dropout": 0.0,
    "distillation_weight": 1.0,
    "distillation": "cosine",
    "temperature": 4.0,
    "lora": {"rank": 16, "alpha": 8.0, "targets": "all", "blocks": "all"},
    "text_lora": {"rank": 16, "alpha": 8.0, "targets": "all", "blocks": "all"},
    "text_epochs": 100,
    "text_stage": "tower",
    "teacher": "fixed",
    "teacher_of": "text",
    "text_branch": "late",
    "fusion_start": "mean",
    "normalisation": "own",
}
CHOICES = {
    "distillation": ("cosine", "contrastive", "relational", "logits"),
    "text_stage": ("tower", "head"),
    "teacher": ("fixed", "joint", "none"),
    "teacher_of": ("text", "image", "label-prompt"),
    "text_branch": ("late", "early", "none"),
    "fusion_start": ("mean", "random"),
    "normalisation": ("own", "imagenet"),
}
DESCRIPTIONS = {
    "distillation": "How g(v) is held against the text: by its direction (`cosine`, the paper's), "
    "as the nearest of the batch's texts (`contrastive`), or by the distances between the batch's "
    "samples (`relational`, Park 2019). With `logits` the text classifier's soft labels teach the "
    "student's own (Hinton 2015), and g learns from the class alone; `text_branch: none` is then "
    "Hinton's student. Single-label datasets only.",
    "temperature": "T of `distillation: logits`: both logits are divided by it, and the loss is "
    "multiplied by T².",
    "text_stage": "What the text stage trains: adapters and head, or, as the published code does, "
    "the head alone.",
    "teacher": "`fixed`: the text stage's best epoch gives fixed targets. `joint`: as in the "
    "published code, the text tower trains on in the main stage, and the distillation loss can "
    "collapse it. `none`: no text and no distillation, the architecture alone.",
    "teacher_of": "What the teacher embeds. A paired report is a function of the image, through "
    "the retriever; two teachers without reports show what it adds: the retriever's own embedding "
    "of the image (frozen, so that its twin is `text_stage: head`), and the prompt of the labels "
    "that the sample is trained on, in the retriever's first template.",
    "text_branch": "`late`: logits of g(v) join those of the image. `early`: g(v) joins the "
    "image's features before one linear layer. `none`: text is distilled into the features "
    "themselves (through a fixed orthogonal map where widths differ).",
    "fusion_start": "How late fusion starts: as the mean of both branches, or, as in the "
    "published code, at random.",
}


def needs(method):
    """The retriever's text tower, or its embeddings of the texts or images if they suffice."""
    if method["teacher"] == "none":
        return ("adapted_images", "retriever")  # which tells how wide a text's embedding is
    if method["teacher_of"] == "image":
        return ("adapted_images", "teacher_images")
    if method["teacher_of"] == "label-prompt":
        return ("adapted_images", "teacher_prompts", "retriever")
    frozen = method["text_lora"] is None or method["text_stage"] == "head"
    cached = ("text_embeddings",) if frozen and not method["word_dropout"] else ()
    loaded = () if cached and method["teacher"] == "fixed" else ("retriever",)
    return ("adapted_images", "reports", "pairs", *cached, *loaded)


def mistakes(method):
    """Parameters that do not fit together, and what to do."""
    problems = {}
    if method["word_dropout"] > 1:
        problems["word_dropout"] = "it is a share, 1 at most"
    if method["teacher"] == "joint" and method["teacher_of"] == "image":
        problem = "'joint' trains the text tower, which does not read images"
        problems["teacher"] = f"{problem}; set teacher_of to text or label-prompt"
    if method["distillation"] == "logits" and method["teacher"] == "joint":
        problems["distillation"] = "soft labels are those of a fixed teacher; set teacher to fixed"
    if not method["temperature"]:
        problems["temperature"] = "logits are divided by it; it is above 0"
    return problems


def distilled(method):
    """Whether reports teach the image side: analyses then compare them with what it predicts."""
    embeddings = method["distillation"] != "logits"
    return embeddings and method["teacher"] != "none" and method["teacher_of"] == "text"


def build(run):
    if run.method["teacher"] == "none":
        yield from _untaught(run)
        return
    frozen = run.method["text_lora"] is None or run.method["text_stage"] == "head"
    frozen |= run.method["teacher_of"] == "image"
    text, texts = text_stage.classifier(run, frozen)
    yield text_stage.stage(run, "text", text, texts, epochs=run.method["text_epochs"])
    taught = _jointly if run.method["teacher"] == "joint" else _by_fixed_targets
    yield from taught(run, text, texts)


def _by_fixed_targets(run, text, texts):
    """Distillation from the text stage's best epoch."""
    if logits := run.method["distillation"] == "logits":
        run.require_exclusive()
    run.teacher, _ = text_stage.teacher(run, text, texts, logits)
    student, images = _student(run, text.head, text.head[0].in_features)

    def fetch(rows):
        return {"images": images(rows), "text": run.teacher(rows)}

    yield _main_stage(run, student, fetch, lambda batch: batch["text"])


def _jointly(run, text, texts):
    """The published code: the distillation loss trains the text tower's adapters further."""
    if texts.tokens is None:
        clip = run.retriever()
        text.tower = lora.adapt(clip.text, run.method["text_lora"])
        texts = text_stage.tokens(run, clip)
    student, images = _student(run, text.head, text.head[0].in_features)

    def fetch(rows):
        return {"images": images(rows), "texts": texts.of(rows, run.device)}

    def target(batch):
        distinct, numbers = batch["texts"]
        return text.embed(distinct)[numbers]

    both = students.WithTeacher(student, text.tower)
    yield _main_stage(run, both, fetch, target, detached=False)
    run.teacher, _ = text_stage.teacher(run, text, texts)
    yield _main_stage(run, student, fetch, target, epochs=0)  # predicts without the text tower


def _untaught(run):
    """The architecture alone: every layer of the image side, no text and no distillation."""
    width = run.retriever().text_dim
    student, images = _student(run, heads.text_head(width, len(run.classes)), width)
    yield _main_stage(run, student, lambda rows: {"images": images(rows)})


def _student(run, text_head: nn.Module, text_width: int):
    """The image side, and what its backbone takes by row."""
    backbone, width, images = adapted_images.tower(run)
    return student(run, backbone, width, text_head, text_width), images


def student(
    run, backbone: nn.Module, width: int, text_head: nn.Module, text_width: int
) -> students.Student:
    """The image side before training."""
    classes, start = len(run.classes), run.method["fusion_start"]
    match run.method["text_branch"]:
        case "late":
            return students.Distilled(backbone, width, text_head, text_width, classes, start)
        case "early":
            return students.EarlyFusion(backbone, width, text_width, classes)
        case "none":
            return students.OneBranch(backbone, width, text_width, classes)


def _main_stage(
    run, model: nn.Module, fetch: Callable, target: Callable | None = None, detached=True, **others
) -> loop.Stage:
    """`target(batch)` is the text embedding (n, d) that g(v) is held against (Eqs. 3 and 4).

    With `distillation: logits` it is the text classifier's logits (n, C).
    """

    def loss(model, batch):
        logits, predicted = model(batch["images"])
        if target is None:
            task = run.task_loss(logits, batch)
            return {"loss": task, "task": task}
        return students.losses(run, batch, logits, predicted, target(batch), detached)

    def scores(model, batch):
        return run.scores(model(batch["images"])[0])

    whole = run.method["distillation"] in ("contrastive", "relational")  # of a batch's samples
    return run.stage("main", model, fetch, loss, scores, whole=whole, **others)


def predictor(run, weights):
    """Reads the image alone: adapters merged, and the text branch folded as far as it is linear."""
    from histopair.export.predictor import Predictor
    from histopair.methods.clip_it import folded

    model, encoder = trained(run, weights)
    lora.merge(encoder.image)
    return Predictor(folded.head_of(model), image=encoder)


def trained(run, weights, text_width: int | None = None):
    """The student as it was trained, adapters unmerged, and its encoder with the run's pixels.

    Where g is wanted, `text_width` is needed for one branch: its weights do not tell the width.
    """
    from histopair.export.predictor import loaded

    encoder = run.encoder()
    backbone, width = lora.adapt(encoder.image, run.method["lora"]), encoder.image_dim
    text_width = text_width or len(weights.get("to_text.bias", range(width)))
    text_head = heads.text_head(text_width, len(run.classes))
    model = loaded(student(run, backbone, width, text_head, text_width), weights)
    encoder.preprocess = pixels.normalised(encoder.preprocess, run.method["normalisation"])
    return model, encoder
