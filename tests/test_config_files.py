"""Config files as people write them: what YAML drops or Snakemake trips over is one line."""

import subprocess

import pytest
import test_configuration
import yaml

import workflow
from histopair.errors import InputError
from histopair.plan import config_files
from histopair.plan.load import load


def said(path) -> str:
    with pytest.raises(InputError) as error:
        config_files.check(path)
    line = str(error.value)
    assert "\n" not in line and line.startswith(str(path))
    return line.removeprefix(str(path))


def written(folder, text: str, encoding: str = "utf-8"):
    path = folder / "mine.yaml"
    path.write_bytes(text.encode(encoding))
    return path


WRONG = [
    ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", ", lines 3 and 5: the key 'c' occurs twice in one map"),
    ("datasets: {a: 1}\nmethods: {}\ndatasets: {b: 1}\n", ", lines 1 and 3: the key 'datasets'"),
    ("a: [{x: 1, x: 2}]\n", ", lines 1 and 1: the key 'x' occurs twice"),
    ('a: 1\n"a": 2\n', ", lines 1 and 2: the key 'a' occurs twice"),
    ('{"a": 1, "a": 2}', ": the key 'a' occurs twice in one map"),
    ("a:\n\tb: 1\n", ", line 2: it is indented with a tab, and YAML takes only spaces"),
    ("a: [1\nb: 2\n", ", line 2: it is not YAML: "),
    ("a: 'x\n", ", line 2: it is not YAML: "),
    ("a: *nothing\n", ", line 1: it is not YAML: found undefined alias"),
    ("a: &a [1, *a]\n", ", line 1: an alias names a part that contains it"),
    ("? [a, b]\n: 1\n", ", line 1: a key is a list or a map"),
    ("- a\n", ": it is empty, or not a map of keys"),
    ("", ": it is empty, or not a map of keys"),
    ("[1]", ": it is empty, or not a map of keys"),
    ("# nothing\n", ": it is empty, or not a map of keys"),
    ("a: 1\n---\nb: 1\n", ", line 2: it is not YAML: "),
    ("a: \x01\n", ": it is not YAML"),
]


@pytest.mark.parametrize(("text", "line"), WRONG, ids=[repr(text)[:30] for text, _ in WRONG])
def test_a_file_that_is_no_config_is_one_line_with_its_own(tmp_path, text, line):
    assert said(written(tmp_path, text)).startswith(line)


def test_files_of_other_encodings_are_told(tmp_path):
    assert said(written(tmp_path, "a: 1\n", "utf-16")).startswith(": it is UTF-16. Save it as")
    latin = written(tmp_path, "a: 1\ntitle: Größe\n", "latin-1")
    assert said(latin).startswith(", line 2: the byte 0xf6 is not UTF-8. Save it as UTF-8")


def test_files_that_cannot_be_read_are_told(tmp_path):
    assert said(tmp_path / "none.yaml").startswith(": it cannot be read (No such file")
    assert said(tmp_path).startswith(": it cannot be read (Is a directory)")


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\nc:\n  <<: *x\n  b: 2\n",
        "a: &x {b: 1}\nd: &y {e: 1}\nc: {<<: *x, <<: *y}\n",
        "a: &x [1, 2]\nb: [*x, *x]\n",
        '{\n\t"a": {"b": 1},\n\t"c": {"b": 2}\n}',
        "\ufeffa: 1\n",
    ],
)
def test_anchors_merges_json_and_marks_of_order_are_fine(tmp_path, text):
    config_files.check(written(tmp_path, text))


def test_every_file_that_snakemake_reads_is_checked(tmp_path):
    """With --configfile, and the default without it; of several each."""
    folder = workflow.copy_to(tmp_path / "histopair")
    twice = (folder / workflow.CONFIG).read_text() + "\nstudies: {}\n"
    (folder / "twice.yaml").write_text(twice)
    (folder / "more.yaml").write_text("gpu: 0\ngpu: 1\n")
    default = folder / "config/config.yaml"
    default.write_bytes(default.read_text(encoding="utf-8").encode("utf-16"))
    for given, line in (
        (["--configfile", "twice.yaml"], "twice.yaml, lines "),
        (["--configfile", workflow.CONFIG, "more.yaml"], "more.yaml, lines 1 and 2: the key 'gpu'"),
        ([], "config/config.yaml: it is UTF-16. Save it as UTF-8"),
    ):
        command = [*workflow.SNAKEMAKE, "--cores", "1", "--dry-run", *given]
        done = subprocess.run(
            command, cwd=folder, env=workflow.environment(), text=True, capture_output=True
        )
        last = done.stderr.strip().splitlines()[-1]
        assert done.returncode == 1 and last.startswith("histopair: ") and line in last
        assert "Traceback" not in done.stderr


def loaded(**changes):
    return load(test_configuration.small() | changes)


def refused(match: str, **changes) -> None:
    with pytest.raises(InputError, match=match):
        loaded(**changes)


STUDY = {"datasets": ["tiles"], "encoders": ["vit"], "methods": ["head"]}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("2024", r"studies: the key 2024 is a int, not text; write it in quotes"),
        ("no", r"studies: the key False \(yes, no, on, off, true or false\) is a bool, not text"),
        ("2024-01-02", r"studies: the key 2024-01-02 is a date, not text"),
        ("1.5", r"studies: the key 1.5 is a float"),
        ("~", r"studies: the key None is a NoneType"),
        ('"a\\nb"', r"studies: the key 'a\\nb': it has the character '\\n'"),
        ('"a\\u200b"', r"studies: the key 'a\\u200b': it has the character"),
        ("My_Study", r"the name 'My_Study' is not allowed; lower-case letters, digits and hyphens"),
    ],
)
def test_names_that_yaml_reads_as_something_else_are_told(name, line):
    refused(line, studies={**yaml.safe_load(f"{name}: 1"), "main": STUDY} | {"main": STUDY})


def test_a_name_of_digits_in_quotes_is_a_name():
    assert list(loaded(studies={"2024": STUDY})["studies"]) == ["2024"]


def with_dataset(**changes) -> dict:
    datasets = test_configuration.small()["datasets"]
    return {"datasets": datasets | {"tiles": datasets["tiles"] | changes}}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"columns": {"patient": "case"}}, r"columns: 'patient' is not allowed; .*'group'"),
        ({"columns": {"grup": "case"}}, r"columns: 'grup' is not allowed; .*mean 'group'\?\)"),
        ({"class_names": {False: "x"}}, r"datasets.tiles.class_names: the key False"),
        ({"class_names": {"no": False}}, r"datasets.tiles.class_names.no: False is not of type"),
        ({"classes": [1, 2]}, r"datasets.tiles.classes.0: 1 is not of type 'string'"),
        ({"colums": {}}, r"datasets.tiles: unknown key 'colums'; .*mean 'columns'\?\)"),
        ({"folders": ["a"]}, r"datasets.tiles: 'folders' is read only for reader: class_folders"),
        ({"reader": "bach", "columns": {"group": "g"}}, r"'columns' is read only for reader"),
        ({"match": {"a": "("}}, r"datasets.tiles.match.a: '\(' is not a regular expression"),
        ({"min_count": 2.0}, r"datasets.tiles.min_count: 2.0 is not of type 'integer'"),
        ({"max_quarantined": float("nan")}, r"max_quarantined: nan is not allowed"),
        ({"max_quarantined": "1e-2"}, r"for a text: write 1.0e-2"),
        ({"description": "a\0b"}, r"description: it has the character '\\x00'"),
        ({"root": "data/{x}"}, r"datasets.tiles.root: 'data/\{x\}' has braces, which Snakemake"),
        ({"table": "{x}.csv"}, r"datasets.tiles.table: '\{x\}.csv' has braces"),
        (
            {"root": "${NOT_SET_HERE}/a"},
            r"names the environment variable NOT_SET_HERE, which",
        ),
    ],
)
def test_what_nobody_reads_or_can_read_is_one_line(changes, line):
    refused(line, **with_dataset(**changes))


@pytest.mark.parametrize(
    ("encoder", "line"),
    [
        (
            {"pretrained": "openai"},
            r"encoders.vit: 'pretrained' is read only for library: open",
        ),
        ({"max_length": 8}, r"encoders.vit: 'max_length' is read only for library: transf"),
        ({"librari": "timm"}, r"encoders.vit: unknown key 'librari'; .*mean 'library'\?\)"),
    ],
)
def test_keys_of_another_library_are_one_line(encoder, line):
    encoders = test_configuration.small()["encoders"]
    refused(line, encoders=encoders | {"vit": encoders["vit"] | encoder})


TRAINED = {"dataset": "tiles", "model": {"depth": 1}}
OF_ANOTHER = TRAINED | {"kind": "classifier", "architecture": "resnet18"}


@pytest.mark.parametrize(
    ("train", "line"),
    [
        (
            OF_ANOTHER | {"towers": {"image": "vi"}},
            r"encoders.own.train.towers.image: 'vi' is not allowed",
        ),
        (OF_ANOTHER | {"towers": {"text": "clip"}}, r"towers.text: a classifier has no text tower"),
        (
            TRAINED | {"kind": "clip", "towers": {"image": "vit"}},
            r"'towers' is read only for kind: ",
        ),
    ],
)
def test_towers_that_a_training_does_not_take_are_one_line(train, line):
    own = {"library": "timm", "model": "local-dir:results/encoders/own", "train": train}
    refused(line, encoders=test_configuration.small()["encoders"] | {"own": own})


@pytest.mark.parametrize(
    ("corpus", "line"),
    [
        ({"skip_sections": ["gros"]}, r"skip_sections: 'gros' is not allowed; .*mean 'gross'\?\)"),
        ({"tables": [{"table": "a.csv", "ide": "x"}]}, r"corpora.reports.tables.0"),
        ({"organ": [1]}, r"corpora.reports.organ.0: 1 is not of type 'string'"),
    ],
)
def test_keys_and_names_that_corpora_do_not_read_are_one_line(corpus, line):
    entry = {"table": "reports.csv"} if "tables" not in corpus else {}
    refused(line, corpora={"reports": entry | corpus})


def test_paths_are_written_out(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("TILES", "/disk/tiles")
    config = loaded(
        **with_dataset(root="${TILES}/a"),
        corpora={"reports": {"tables": ["~/r.csv", {"table": "$TILES/s.csv"}]}},
        encoders=test_configuration.small()["encoders"]
        | {
            "own": {
                "library": "timm",
                "model": "local-dir:~/own",
                "weights": "a~b/US$5.safetensors",
            }
        },
    )
    assert config["datasets"]["tiles"]["root"] == "/disk/tiles/a"
    tables = config["corpora"]["reports"]["tables"]
    assert tables == ["/home/me/r.csv", {"table": "/disk/tiles/s.csv"}]
    own = config["encoders"]["own"]
    assert (own["model"], own["weights"]) == ("local-dir:/home/me/own", "a~b/US$5.safetensors")
