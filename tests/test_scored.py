"""The file by which Snakemake knows that all runs of a method are scored."""

import pytest

from histopair.errors import InputError
from histopair.evaluation import scored
from histopair.files import tables

PLACE = "results/runs/tiles/vit/lora"


@pytest.fixture
def predictions(tmp_path):
    folders = [tmp_path / PLACE / seed for seed in ("0", "10", "2")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(f'{{"seed": {folder.name}}}')
    return [str(folder / "predictions.parquet") for folder in folders]


@pytest.fixture
def output(tmp_path, predictions):
    scored.write(tmp_path / "lora.json", predictions)
    return tmp_path / "lora.json"


def test_it_names_the_metrics_beside_all_predictions_by_seed(output, predictions):
    place = predictions[0].rsplit("/", 2)[0]
    expected = {seed: f"{place}/{seed}/metrics.json" for seed in ("0", "2", "10")}
    assert scored.files(output) == expected
    scored.check([output])


def test_metrics_that_are_gone_or_edited_are_told_with_the_remedy(output, predictions):
    file = scored.metrics_of(predictions[1])
    file.write_text("{}")
    with pytest.raises(InputError, match=rf"10/metrics\.json.*Delete {output}"):
        scored.check([output])
    for cut in ("", '{"see', "[10]"):
        file.write_text(cut)
        with pytest.raises(InputError, match=rf"10/metrics\.json.*Delete {output}"):
            scored.check([output])
    file.unlink()
    with pytest.raises(InputError, match=rf"10/metrics\.json.*Delete {output}"):
        scored.check([output])


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_file_of_hashes_that_is_cut_off_is_told_with_the_remedy(output, content):
    output.write_text(content)
    with pytest.raises(InputError, match=r"lora\.json.*Delete it"):
        scored.check([output])


def test_metrics_of_another_version_that_say_the_same_are_the_same(output, predictions):
    scored.metrics_of(predictions[1]).write_text('{"about": {"versions": "new"}, "seed": 10}')
    scored.check([output])


def test_two_studies_may_write_the_same_metrics_at_once(predictions):
    with scored.writing(predictions[0], "a") as one, scored.writing(predictions[0], "b") as other:
        tables.write_json(one, {"seed": 0})
        tables.write_json(other, {"seed": 0})
    folder = one.parent
    assert [path.name for path in folder.iterdir()] == ["metrics.json"]
    assert tables.read_json(folder / "metrics.json") == {"seed": 0}


def test_a_runs_metrics_do_not_say_which_study_asked_for_them(predictions):
    names = {"dataset": "tiles", "encoder": "vit", "method": "lora"}
    one, other = ({"code": "c", "wildcards": names | {"study": name}} for name in "ab")
    about = scored.about_run(one, predictions[1])
    assert about == scored.about_run(other, predictions[1])
    assert about == {"code": "c", "wildcards": names | {"seed": "10"}}
