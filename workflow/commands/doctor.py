"""Check what a config needs before any GPU hour, or a single encoder.

    histopair doctor [--configfile FILE ...] [--study NAME ...]
    histopair doctor ENCODER [--configfile FILE ...] [--write]

Without a name: files, columns, licences, weights, disk, memory, time and this machine, in one
table. With one of the config's encoders, or of the presets: a fingerprint of what it gives for
three tiles and three texts, compared with a stored one. The exit status is 1 if a row is red
(missing, wrong). No network is used unless --online asks for it, or HF_HUB_OFFLINE is 0.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

import commands
from commands import run
from histopair import jobs
from histopair.doctor import offline
from histopair.errors import InputError


def main(words: list[str]) -> int:
    options = parsed(words)
    online = offline.allowed(options.online)
    offline.prepare(online)
    jobs.limit_threads(os.cpu_count() or 1)  # before numpy loads
    whole = run.go_to(commands.folder(), options.configfile)
    options.configfile = [whole.get(file, file) for file in options.configfile]
    from histopair.doctor import rows

    lines = of_encoder(options, online) if options.encoder else of_config(options, online)
    width = os.get_terminal_size().columns if sys.stdout.isatty() else None
    jobs.say(rows.table(lines, width))
    return int(rows.red(lines))


def parsed(words: list[str]) -> argparse.Namespace:
    parser = commands.parser("doctor", __doc__)
    parser.add_argument("encoder", nargs="?", help="an encoder of the config, or a preset")
    help_ = "as Snakemake takes them (default: config/config.yaml)"
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[], help=help_)
    help_ = "look at these studies (default: those of the page)"
    parser.add_argument("--study", nargs="+", metavar="NAME", help=help_)
    help_ = "ask the hub about access; with ENCODER also download what is missing"
    parser.add_argument("--online", action="store_true", help=help_)
    help_ = "keep the fingerprint of ENCODER, in encoders/fingerprints.yaml"
    parser.add_argument("--write", action="store_true", help=help_)
    return parser.parse_args(words)


def config_of(files: list[str]) -> dict:
    """The config of some files, one on top of the other as Snakemake reads them; not checked.

    Raises InputError for a file that cannot be read.
    """
    from snakemake.common.configfile import load_configfile
    from snakemake.utils import update_config

    from histopair.plan import config_files

    config: dict = {}
    for file in files or ["config/config.yaml"]:
        config_files.check(file)
        try:
            update_config(config, load_configfile(file))
        except Exception as error:  # Snakemake fills in templates, which can fail in many ways
            raise InputError(file, f"it cannot be read ({error})", "Correct it") from error
    return config


def of_config(options: argparse.Namespace, online: bool) -> list:
    """The rows of the whole config; if it is wrong, those of the machine and its mistakes."""
    from histopair.doctor import environment, preflight
    from histopair.doctor.rows import of_mistake
    from histopair.plan import load

    if options.write:
        raise InputError("--write", "it keeps the fingerprint of an encoder", "Name one")
    try:
        config = chosen(load.load(config_of(options.configfile)), options.study)
    except InputError as mistake:
        return [of_mistake("config", mistake), *environment.rows(0)]
    lines = []
    for row in preflight.rows(config, online, fetching(options)):
        lines.append(row)
        _show(row.check)
    _show("")
    return lines


def fetching(options: argparse.Namespace) -> str:
    """The command that fetches the weights of these studies of this config."""
    from histopair.encoders.hub_answers import FETCH

    words = ["--configfile", *options.configfile] if options.configfile else []
    words += ["--config", f"page=[{','.join(options.study)}]"] if options.study else []
    return f"{FETCH} {shlex.join(words)}".rstrip()


def _show(check: str) -> None:
    """On a terminal, what was looked at last: large encoders take long."""
    if sys.stderr.isatty():
        jobs.say(f"\r\033[K{check}", end="", stream=sys.stderr)


def chosen(config: dict, studies: list[str] | None) -> dict:
    """The config with a page of these studies. Raises InputError for one that it has not."""
    from histopair.errors import nearest

    for name in studies or ():
        if name not in config["studies"]:
            problem = f"there is no study {name!r}{nearest(name, config['studies'])}"
            raise InputError("--study", problem, f"Choose {', '.join(config['studies'])}")
    return config | {"page": studies} if studies else config


def of_encoder(options: argparse.Namespace, online: bool) -> list:
    """The rows of one encoder; prints its fingerprint, and keeps it if asked."""
    from histopair.doctor import encoder_rows, reference
    from histopair.plan import load

    raw = {"encoders": {}}
    if options.configfile or Path("config/config.yaml").is_file():
        raw = config_of(options.configfile)
    in_config = options.encoder in (raw.get("encoders") or ())
    config = load.load(raw) if in_config or options.configfile else {"encoders": {}}
    entry = encoder_rows.entry(config, options.encoder)
    lines, fingerprint = encoder_rows.fingerprinted(entry, online)
    if fingerprint is not None:
        jobs.say(reference.entry_text(reference.key(entry) or entry["name"], fingerprint))
        if options.write:
            reference.write(reference.key(entry), fingerprint)
    return lines
