"""Show exported models as a local page: an image and a note in, ranked findings out.

    histopair serve EXPORT... [--port 8765]
    histopair serve EXPORT... --queue results/queues/crc.csv --root data/crc

Needs no Snakemake and no network, and sends nothing out. Only this machine reaches it, unless
--host names another address. The same as JSON: /openapi.json. `--help` lists the rest.
"""

import argparse
import os
from pathlib import Path

import commands
from histopair import jobs


def main(words: list[str]) -> None:
    jobs.limit_threads(os.cpu_count() or 1)  # before numpy loads
    from histopair.files import answers
    from serve import exported, listen
    from serve.desk import Desk
    from serve.limits import Limits
    from serve.reading_list import ReadingList

    options = parsed(words, Limits())
    limits = Limits(options.upload * 2**20, options.max_pixels, options.waiting + 1)

    if repaired := answers.mend(options.answers):  # after a server that was killed
        jobs.say(repaired)

    def desk(folder: Path) -> Desk:
        samples = ReadingList(options.queue, options.root) if options.queue else None
        return Desk(exported.load(options.export), limits, folder, options.answers, samples)

    listen.forever(desk, options.host, options.port)


def parsed(words: list[str], usual) -> argparse.Namespace:
    parser = commands.parser("serve", __doc__)
    parser.add_argument("export", nargs="+", help="folders of results/exports")
    help_ = "address to listen at (default 127.0.0.1: this machine alone)"
    parser.add_argument("--host", default="127.0.0.1", help=help_)
    parser.add_argument("--port", type=int, default=8765, help="default 8765; 0 takes a free one")
    help_ = "csv that readers' answers are added to (default answers.csv), for accept-labels"
    parser.add_argument("--answers", type=Path, default=Path("answers.csv"), help=help_)
    parser.add_argument("--queue", type=Path, help="samples for readers, a csv of make-queue")
    help_ = "folder that the paths of the queue start from: the dataset's root"
    parser.add_argument("--root", type=Path, default=Path(), help=help_)
    bounds = (
        ("--upload", usual.upload // 2**20, "largest file, in MB"),
        ("--max-pixels", usual.pixels, "largest image; decoding needs up to 16 bytes a pixel"),
        ("--waiting", usual.places - 1, "requests that wait; more are refused"),
    )
    for name, default, help_ in bounds:
        about = {"type": at_least_one, "default": default, "help": f"{help_} (default {default})"}
        parser.add_argument(name, **about)
    return parser.parse_args(words)


def at_least_one(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word} is not 1 or more")
    return number
