"""The addresses of the server."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, File, Form, Query, Request, UploadFile
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import Json

import histopair
from histopair.export.findings import USE
from serve import refusals, regions, shapes
from serve.cases import Question
from serve.desk import Desk
from serve.guard import Guard
from serve.limits import NOTE, WIDTH

ASSETS = Path(__file__).parent / "assets"
OFF = {"tracing": False, "metrics": False, "logs": False}  # FastAPI's OpenTelemetry
SHA256 = r"^[0-9a-f]{64}$"
FAILURES = {code: {"model": shapes.Error} for code in (403, 404, 408, 413, 421, 422, 500, 503)}

api = APIRouter(prefix="/api", responses=FAILURES)


def create(desk: Desk, host: str) -> Guard:
    """The server's application, which answers to the name `host` and this machine's own names."""
    app = FastAPI(
        title="histopair: the second read",
        version=histopair.__version__,
        description=USE,
        docs_url=None,  # these pages load from other machines
        redoc_url=None,
        telemetry=OFF,
        form_limits={"max_files": 1, "max_fields": 8, "max_part_size": 4 * NOTE},
    )
    app.state.desk = desk
    refusals.add_to(app)
    app.include_router(api)
    app.add_api_route("/", page, include_in_schema=False)
    app.mount("/assets", StaticFiles(directory=ASSETS))
    return Guard(app, host, desk.limits)


async def page() -> FileResponse:
    return FileResponse(ASSETS / "index.html")


@api.get("/models")
async def models(request: Request) -> shapes.Models:
    """The models of this server, and its limits."""
    desk = request.app.state.desk
    rows = [served.described for served in desk.models.values()]
    limits = {"upload": desk.limits.upload, "pixels": desk.limits.pixels, "note": NOTE}
    return {"notice": USE, "models": rows, "limits": limits, "answers": desk.answers.name}


@api.post("/images")
async def keep(request: Request, image: Annotated[UploadFile, File()]) -> shapes.Kept:
    """Send an image once, and ask about it by its image_id. The last few are held, in memory."""
    desk = request.app.state.desk
    return {"notice": USE, **await desk.compute(desk.keep, image)}


@api.get("/images/{image_id}/view", response_class=Response)
async def view(
    request: Request,
    image_id: Annotated[str, InPath(pattern=SHA256)],
    region: Annotated[str | None, Query(pattern=regions.PATTERN)] = None,
    width: Annotated[int, Query(ge=1, le=WIDTH)] = 1024,
) -> Response:
    """A JPEG of a region of a held image, its longer side `width` pixels at most."""
    desk = request.app.state.desk
    content = await desk.compute(desk.view, image_id, region, width)
    return Response(content, media_type="image/jpeg")


async def asked(
    image: Annotated[UploadFile | None, File(description="the file of an image")] = None,
    image_id: Annotated[str | None, Form(description="or an image that is held")] = None,
    note: Annotated[str | None, Form(description="for models that read text")] = None,
    model: Annotated[str | None, Form(description="its name; default: the first one")] = None,
    region: Annotated[str | None, Form(description="x,y,width,height; default: all")] = None,
) -> Question:
    return Question(image, image_id, note, model, region)


Asked = Annotated[Question, Depends(asked)]


@api.post("/predict")
async def predict(request: Request, question: Asked) -> shapes.Answer:
    """Ranked findings of an image, a note, or both."""
    desk = request.app.state.desk
    return await desk.compute(desk.answer, question)


@api.post("/saliency")
async def saliency(
    request: Request, question: Asked, finding: Annotated[str, Form()]
) -> shapes.Saliency:
    """Where in the image a finding comes from."""
    desk = request.app.state.desk
    return await desk.compute(desk.saliency, question, finding)


@api.post("/words")
async def words(request: Request, question: Asked) -> shapes.Words:
    """Which words of the note the findings come from."""
    desk = request.app.state.desk
    return await desk.compute(desk.words, question)


@api.post("/evidence")
async def evidence(request: Request, question: Asked) -> shapes.Evidence:
    """The nearest training images, and reports of the corpus; none if the export carries none."""
    desk = request.app.state.desk
    return await desk.compute(desk.evidence, question)


@api.get("/queue")
async def queue(request: Request) -> shapes.Queue:
    """The samples that wait for a reader, the most informative first."""
    desk = request.app.state.desk
    return {"notice": USE, "samples": await desk.compute(desk.queue)}


@api.post("/queue/{rank}")
async def take(request: Request, rank: Annotated[int, InPath(ge=1)]) -> shapes.Kept:
    """Hold the image of a sample of the queue, as if it had been sent."""
    desk = request.app.state.desk
    return {"notice": USE, **await desk.compute(desk.take, rank)}


@api.post("/answers")
async def keep_answer(
    request: Request,
    question: Asked,
    labels: Annotated[Json[list[str]], Form(description="JSON list of what is true")],
    reader: Annotated[str, Form(description="who answers: never empty")] = "",
) -> shapes.Changes:
    """Keep what a reader says of an answer: one line of a csv on this server."""
    desk = request.app.state.desk
    return await desk.compute(desk.keep_answer, question, reader, labels)
