"""The doctor of a config: every fault is a row, nothing stops at the first one, no traceback."""

import re
from pathlib import Path

import doctor_folder
import pytest
from doctor_folder import config, ran, write

from histopair.doctor import rows
from histopair.doctor.rows import LATER, OK, UNKNOWN, WRONG, Row
from histopair.errors import InputError

place = doctor_folder.place
filled = doctor_folder.filled


def test_before_anything_is_made_the_small_config_is_not_red(place, capsys):
    status, text = ran(capsys)
    assert status == 0
    assert "dataset phantom-crc" in text and "the workflow makes results/phantom" in text
    assert "rule train_encoder makes its weights from phantom-captions" in text
    assert " missing" not in text and " wrong" not in text
    assert sorted(path.name for path in place.iterdir()) == ["config"]


def test_where_everything_is_missing_each_fault_has_a_row_and_the_exit_status_is_1(place, capsys):
    write(
        config(
            datasets={
                "crc": {"reader": "nct_crc", "root": "data/nct-crc", "corpus": "tcga"},
                "mine": {"reader": "table", "root": "nowhere"},
            },
            corpora={"tcga": {"table": "data/tcga/TCGA_Reports.csv", "organ": "colon"}},
            encoders={
                "uni": {"preset": "uni"},
                "clip": {"library": "open_clip", "model": "hf-hub:a/b"},
            },
            methods={"clip-it": {"recipe": "clip_it", "retriever": "clip"}},
            studies={
                "one": {
                    "title": "One",
                    "datasets": ["crc"],
                    "encoders": ["uni"],
                    "methods": ["clip-it"],
                    "seeds": [0],
                    "published": "paper.csv",
                },
            },
        )
    )
    status, text = ran(capsys, "--configfile", "config/config.yaml", "--study", "one")
    assert status == 1 and "Traceback" not in text
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    fetch = "snakemake --cores 1 fetch_weights --configfile config/config.yaml --config"
    assert lines["encoder clip"].endswith(f"{fetch} 'page=[one]'")
    assert "data/nct-crc: there is no such file" in lines["dataset crc"]
    assert "data/tcga/TCGA_Reports.csv" in lines["corpus tcga"]
    assert "its licence, CC-BY-4.0, is not accepted" in lines["source nct-crc"]
    assert "accept=CC-BY-4.0" in lines["source nct-crc"]
    assert "paper.csv: there is no such file" in lines["study one"]
    assert "not in the cache of this machine" in lines["encoder uni"]
    assert "It is gated. Ask for access" in lines["encoder uni"]
    assert "(a/b)" in lines["encoder clip"] and "gated" not in lines["encoder clip"]
    assert "mine" not in text  # no study reads it


def test_a_config_that_is_there_is_tried_and_measured(filled, capsys):
    status, text = ran(capsys)
    assert status == 0, text
    assert "12 samples of 12 images" in text
    assert "all its weights are its own: images -> 24" in text
    assert "time embed_images vit" in text and "12 images of 1 dataset: " in text
    assert "2 runs train the whole tower: " in text and "for a batch of 8" in text
    assert "the strictest that an export inherits is MIT (mine, vit)" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("datasets: {a: 1", "it is not YAML"),
        ("a: 1\na: 2\n", "occurs twice"),
        ("datasets: {}\nencoders: {}\nmethods: {}\nstudies: {}\nphantoms: 1\n", "phantoms"),
        ("datasets: {a: {reader: tables, root: b}}\n", "'studies' is a required property"),
    ],
)
def test_a_config_that_is_wrong_is_a_row_beside_those_of_the_machine(place, capsys, text, words):
    Path("config/config.yaml").write_text(text)
    status, out = ran(capsys)
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    assert status == 1 and words in lines["config"] and "allocator" in lines


def test_config_files_are_laid_on_top_of_each_other(filled, capsys):
    Path("more.yaml").write_text("datasets: {mine: {root: elsewhere}}\n")
    status, text = ran(capsys, "--configfile", "config/config.yaml", "more.yaml")
    assert status == 1 and "elsewhere" in text


def test_a_study_that_there_is_not_is_a_row_with_its_neighbour(place, capsys):
    status, text = ran(capsys, "--study", "frozn")
    assert status == 1 and "there is no study 'frozn' (did you mean 'frozen'?)" in text


def test_one_study_is_looked_at_alone(place, capsys):
    status, text = ran(capsys, "--study", "frozen")
    assert status == 0 and "studies frozen" in text
    assert "phantom-clip" not in text and "dataset phantom-crc" in text


def test_the_table_is_plain_in_a_file_and_coloured_and_wrapped_on_a_terminal():
    given = [
        Row("a", OK, "fine"),
        Row("b", WRONG, "x " * 60, "do this"),
        Row("c", LATER, "y\x1b[2J"),
    ]
    plain = rows.table(given).splitlines()
    assert len(plain) == 6 and "\033" not in "".join(plain)
    assert plain[-1] == "1 ok, 1 later, 1 wrong"
    terminal = rows.table(given, width=80).splitlines()
    assert any("\033[31mwrong" in line for line in terminal) and len(terminal) > 6
    assert max(len(re.sub(r"\033\[\d+m", "", line)) for line in terminal) <= 80


def test_a_check_that_fails_itself_is_a_row_and_keeps_those_before():
    def check():
        yield Row("x", OK, "one")
        raise KeyError("two")

    first, second = rows.checked("x", check)
    assert first.finding == "one"
    assert second.state == WRONG and "KeyError" in second.finding
    (refused,) = rows.checked("y", lambda: (_ for _ in ()).throw(InputError("f", "bad", "mend")))
    assert refused == Row("y", WRONG, "f: bad", "mend")
    assert rows.red([second]) and not rows.red([first, Row("z", UNKNOWN, "")])
