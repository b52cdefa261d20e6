"""Jinja templates of the pages; everything from data is escaped."""

import math
from pathlib import Path

import jinja2
from markupsafe import Markup

from histopair.datasets import licences
from histopair.evaluation import metrics
from histopair.pages import style

HERE = Path(__file__).parent
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def render(template: str, **context) -> str:
    """Render one template of this folder; undefined names raise instead of printing nothing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = (number, signed, percent, change, big, probability, seeds)
    for words in (*numbers, sentence, inside, licence):
        environment.filters[words.__name__] = words
    environment.globals |= {
        "css": Markup((HERE / "page.css").read_text(encoding="utf-8")),
        "titles": metrics.titles(),
        "figure": figure,
    }
    return environment.get_template(template).render(**context)


def figure(svg: str, name: str, label: str) -> Markup:
    """An SVG that this package drew, as part of the page."""
    return Markup(style.inline(svg, name, str(Markup.escape(label))))


def exists(value: object) -> bool:
    """False for None and NaN."""
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def number(value: float | None, digits: int = 3) -> str:
    """A fixed number of digits, or a dash for a value that does not exist."""
    return f"{value:.{digits}f}" if exists(value) else "–"


def signed(value: float | None, digits: int = 3) -> str:
    """Like `number`, with a sign."""
    return f"{value:+.{digits}f}".replace("-", "−") if exists(value) else "–"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage."""
    return f"{100 * value:.{digits}f}%" if exists(value) else "–"


def change(value: float | None) -> str:
    """A relative change as a percentage with a sign."""
    return f"{100 * value:+.1f}%".replace("-", "−") if exists(value) else "–"


def big(value: int | None) -> str:
    """A count with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f") if exists(value) else "–"


def inside(title: str) -> str:
    """A metric's title as words inside a sentence: "micro F1 (top 3)", but "Hamming loss"."""
    return title if title.startswith("Hamming") else title[:1].lower() + title[1:]


def probability(value: float | None) -> str:
    """A p-value: three digits, or a power of ten where it is smaller."""
    if not exists(value):
        return "–"
    if value >= 0.001:
        return f"{value:.3f}"
    mantissa, power = f"{value:.0e}".split("e")
    return f"{mantissa}·10{str(int(power)).translate(SUPERSCRIPTS)}"


def seeds(value: float | None) -> str:
    """A number of seeds, a dash if it does not exist, and words if no number is enough."""
    if not exists(value):
        return "–"
    return "over 10\u202f000" if math.isinf(value) else big(int(value))


def licence(name: str) -> str:
    """A licence's name, with a note if its terms are not known here."""
    return name if licences.known(name) else f"{name} (terms not known here: read them)"


def sentence(text: str) -> str:
    """Text that ends with a full stop, unless it is empty."""
    text = text.strip()
    return text + "." if text and text[-1] not in ".!?" else text
