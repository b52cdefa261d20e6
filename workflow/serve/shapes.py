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


class Answer(BaseModel):
    notice: str
    model: Model
    image: Image | None
    region: tuple[int, int, int, int] | None = Field(description="x, y, width, height of the image")
    read: Box | None = Field(description="the frame within it that reaches the model")
    findings: list[Finding]
    abstains: list[Label] = Field(description="labels without a training sample: it cannot tell")
    note_tokens_read: int | None = Field(description="the note is longer: these tokens were read")
    seconds: float
