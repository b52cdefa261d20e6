"""The JSON of answers, as /openapi.json describes it."""

from pydantic import BaseModel, Field

Box = tuple[float, float, float, float]


class Label(BaseModel):
    label: str
    name: str


class Model(BaseModel):
    name: str = Field(description="dataset/encoder/method/seed: the name to ask it by")
    run: dict[str, str]
    task: str = Field(description="single: one label is true; multi: any number")
    reads: list[str] = Field(description="image, text (a note), or both")
    input: tuple[int, int] | None = Field(description="width and height in pixels that it reads")
    labels: list[Label]
    synthetic: bool = Field(description="trained on drawn images: it knows nothing of tissue")
    calibrated: bool
    temperature: float
    evidence: bool = Field(description="its export carries training images and reports to compare")
    temperature_at_bound: bool = Field(description="true: do not trust the probabilities")


class Image(BaseModel):
    image_id: str = Field(description="SHA-256 of the file")
    name: str
    width: int
    height: int


class Finding(Label):
    rank: int
    probability: float = Field(description="calibrated, if the model is")


class Error(BaseModel):
    error: str = Field(description="one line: where, what, remedy")
    problem: str
    remedy: str
    notice: str


class Kept(Image):
    notice: str


class Models(BaseModel):
    notice: str
    models: list[Model]
    limits: dict[str, int] = Field(description="upload (bytes), pixels, note (characters)")
    answers: str = Field(description="the csv of readers' answers")


class Check(BaseModel):
    name: str
    title: str
    value: float = Field(description="larger is worse")
    limit: float | None = Field(description="of the validation images; above it the check fails")
    holds: bool = Field(description="true: the image is not like those of training")


class Answer(BaseModel):
    notice: str
    model: Model
    image: Image | None
    region: tuple[int, int, int, int] | None = Field(description="x, y, width, height of the image")
    read: Box | None = Field(description="the frame within it that reaches the model")
    findings: list[Finding]
    proposed: list[str] = Field(description="the most probable label; of several, those from 0.5")
    checks: list[Check] = Field(description="whether the image is like those of training")
    set: list[str] | None = Field(description="labels that may be true, at the stated coverage")
    coverage: float | None = Field(description="how often such sets hold the truth")
    abstains: bool = Field(description="the set does not decide")
    unlearnt: list[Label] = Field(description="labels without a training sample: it cannot tell")
    note_tokens_read: int | None = Field(description="the note is longer: these tokens were read")
    seconds: float


class Saliency(BaseModel):
    notice: str
    finding: str
    method: str
    frame: Box = Field(description="where in the image the map lies: x, y, width, height")
    png: str = Field(description="base64 of a grey PNG: 255 where most speaks for the finding")
    empty: bool = Field(description="nothing in the image speaks for the finding")


class Word(BaseModel):
    start: int = Field(description="first letter of the word in the note (code points)")
    end: int
    adds: dict[str, float] = Field(description="label: its probability less that without the word")


class Words(BaseModel):
    notice: str
    note: str = Field(description="as the model read it")
    words: list[Word]


class Neighbour(BaseModel):
    similarity: float = Field(description="cosine")
    source: str
    licence: str
    image: str | None = Field(None, description="path of a training image in its dataset")
    labels: list[str] | None = None
    report: str | None = Field(None, description="its id in the corpus")
    text: str | None = None


class Evidence(BaseModel):
    notice: str
    kinds: dict[str, list[Neighbour]] = Field(description="images, reports: the nearest first")


class Sample(BaseModel):
    rank: int
    split: str
    done: bool = Field(description="the csv of answers has one about all of its image")


class Queue(BaseModel):
    notice: str
    samples: list[Sample]


class Changes(BaseModel):
    accepted: list[str]
    removed: list[str]
    added: list[str]
    file: str = Field(description="the csv that has one line more")
    damaged: str | None = Field(description="what was repaired in it before")
