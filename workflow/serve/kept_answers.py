"""What a reader says of an answer, as a line of the csv that `histopair accept-labels` reads."""

from pathlib import Path

from histopair.files import answers
from serve.cases import Case
from serve.refusals import Refusal
from serve.replies import proposed

MOST, LONGEST = 100, 200  # findings of an answer, and characters of one


def keep(case: Case, reader: str, labels: list[str], file: Path) -> dict:
    """Add one line. `labels` are what the reader holds for true, of the model's or others.

    Raises Refusal for an answer without a reader or findings, InputError if it cannot be written.
    """
    labels = list(dict.fromkeys(label.strip() for label in labels))
    _check(case, reader, labels)
    values = {
        row["label"]: float(value)
        for row, value in zip(case.served.model.labels, case.probabilities, strict=True)
    }
    before = {label: values[label] for label in proposed(case)}
    whole = case.region[2:] == case.upload.image.size
    answer = answers.Answer(
        reader=reader.strip(),
        model=case.served.name,
        fingerprint=case.served.fingerprint,
        image=case.upload.sha256,
        file=case.upload.file or case.upload.name,
        before=before,
        accepted=[label for label in before if label in labels],
        removed=[label for label in before if label not in labels],
        added=[label for label in labels if label not in before],
        region="" if whole else ",".join(map(str, case.region)),
        note=case.note or "",
    )
    damaged = answers.append(file, answer)
    changes = {key: getattr(answer, key) for key in ("accepted", "removed", "added")}
    return changes | {"file": file.name, "damaged": damaged}


def _check(case: Case, reader: str, labels: list[str]) -> None:
    if case.upload is None:
        raise Refusal(422, "answers", "this model reads no image", "Answer to one that does")
    if not reader.strip():
        raise Refusal(422, "reader", "there is no name", "Say who answers: a name or initials")
    if len(labels) > MOST or any(not 0 < len(label) <= LONGEST for label in labels):
        problem = f"more than {MOST} findings, or one that is empty or too long"
        raise Refusal(422, "labels", problem, "Give the findings that are true")
    if case.served.model.config["task"] == "single" and len(labels) != 1:
        problem = f"{len(labels)} findings, and the model's images have one"
        raise Refusal(422, "labels", problem, "Give the one that is true")
    if not labels and not proposed(case):
        problem = "the model proposes nothing, and neither do you"
        raise Refusal(422, "labels", problem, "Add a finding")
