"""Small pictures inside the page."""

import base64
from io import BytesIO

from PIL import Image

from histopair import images
from histopair.errors import InputError


def thumbnail(root: str, path: str, size: int) -> str | None:
    """A tile as a data URI, its longer side `size` pixels; None if it can no longer be read."""
    try:
        picture = images.load(root, path)
    except InputError as error:
        print(f"no thumbnail: {error}", flush=True)
        return None
    return data_uri(picture, size)


def data_uri(picture: Image.Image, size: int) -> str:
    """A picture as a JPEG data URI, its longer side at most `size` pixels."""
    picture = picture.convert("RGB")
    picture.thumbnail((size, size), Image.Resampling.LANCZOS)
    content = BytesIO()
    picture.save(content, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
