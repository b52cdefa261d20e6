"""Every error as JSON with one line: what is wrong and what to do."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from histopair.errors import InputError
from histopair.export.findings import USE

LENGTH = 300  # characters of an error, whatever a request put into it
REMEDIES = {
    404: ("there is nothing at this address", "See /openapi.json"),
    405: ("this address does not take this method", "See /openapi.json"),
    408: ("the upload took too long to arrive", "Send it again"),
    413: ("the upload is too large", "Cut the image, or start the server with a larger --upload"),
}


def plain(text: str, length: int) -> str:
    """The start of a text, without line ends and letters that are not seen."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:length])


class Refusal(InputError):
    """A request that is not answered, with its HTTP status."""

    def __init__(self, status: int, where: str, problem: str, remedy: str):
        super().__init__(where, problem, remedy)
        self.status = status


def response(error: InputError) -> JSONResponse:
    """The JSON of an error; 422 for input that is no good."""
    parts = {"problem": error.problem, "remedy": error.remedy}
    content = {"error": str(error), **parts, "notice": USE}
    shown = {key: plain(text, LENGTH) for key, text in content.items()}
    status = getattr(error, "status", 422)
    return JSONResponse(shown, status, {"Retry-After": "1"} if status == 503 else {})


def add_to(app: FastAPI) -> None:
    """Let an app answer its errors in this way."""
    app.add_exception_handler(InputError, _input)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _fields)
    app.add_exception_handler(Exception, _unforeseen)


async def _input(request: Request, error: InputError) -> JSONResponse:
    return response(error)


async def _http(request: Request, error: HTTPException) -> JSONResponse:
    problem, remedy = REMEDIES.get(error.status_code, (str(error.detail), "See /openapi.json"))
    return response(Refusal(error.status_code, request.url.path, problem.rstrip("."), remedy))


async def _fields(request: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"][1:])) or request.url.path
    problem = first["msg"].removeprefix("Value error, ")
    return response(Refusal(422, field, problem, "See /openapi.json"))


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    """Starlette raises the error again, so that the server's terminal has its traceback."""
    problem = f"the server failed ({type(error).__name__})"
    return response(Refusal(500, request.url.path, problem, "Its terminal says more: report it"))
