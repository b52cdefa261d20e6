"""The page: whole, self-contained, escaped, reproducible, and small."""

import json
import re
import subprocess
import sys
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import fake_artifacts
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from histopair.files import tables
from histopair.pages import (
    label_figures,
    look,
    overview,
    plots,
    provenance,
    style,
    templates,
    thumbnails,
    timings,
    training,
)

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Outline(HTMLParser):
    """Ids, in-page links, external references and badly nested tags of a page."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.outside, self.open, self.wrong = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        for key in ("href", "xlink:href", "src"):
            value = attributes.get(key) or ""
            if value.startswith("#"):
                self.links.append(value[1:])
            elif value and not value.startswith("data:image/jpeg;base64,"):
                self.outside.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    config = fake_artifacts.make(root)
    return root, config, fake_artifacts.finish(root, config)


def write(world, output):
    root, config, shown = world
    about = fake_artifacts.about("page")
    overview.write_page(config, shown, str(root / "results"), str(output), about)
    return output.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(world):
    return write(world, world[0] / "results/page.html")


@pytest.fixture(scope="module")
def outline(html):
    parser = Outline()
    parser.feed(html)
    return parser


def test_the_page_needs_no_network(html, outline):
    assert outline.outside == []
    assert "<script" not in html and "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_the_page_is_well_formed_and_its_links_lead_somewhere(outline):
    assert outline.wrong == [] and outline.open == []
    assert set(outline.links) <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))


@pytest.mark.parametrize(
    "section",
    ["results", "multilabel", "datasets", "reports", "encoders", "pairing", "training", "time",
     "provenance"],
)  # fmt: skip
def test_every_section_is_there(outline, section):
    assert section in outline.ids and section in outline.links


def test_the_page_counts_texts_that_are_not_read_to_their_end(html):
    rows = [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in html.split("<tr>")]
    cut = [row for row in rows if row.startswith(("phantom-clip 24 80", "prompts of phantom-crc"))]
    assert cut[0].startswith("phantom-clip 24 80 ") and cut[0].split()[5] == "3"
    assert cut[1].startswith("prompts of phantom-crc phantom-clip 24 1 234 56")


def test_text_from_data_is_escaped(html):
    assert "bad/&lt;script&gt;.png" in html


EVIL = "</p></td><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def odd_page(tmp_path_factory):
    """The root and page of artifacts with markup in all texts, a paper's counts, and no tiles."""
    root = tmp_path_factory.mktemp("odd")
    config = fake_artifacts.make(root, tiles_per_class=6)
    for folder in ("reports", "chunks/phantom-clip"):
        path = root / f"results/{folder}/phantom-tcga-colon.parquet"
        tables.write(path, tables.read(path).assign(text=EVIL, section=EVIL), tables.about(path))
    frequencies = root / "results/labels/phantom-crc.frequencies.parquet"
    table = tables.read(frequencies)
    tables.write(frequencies, table.assign(label=EVIL + table["label"]), {})
    proposals = root / "results/labels/phantom-quilt.proposals.csv"
    header = "label,count,standard,count_standard,reason,similarity,accept\n"
    proposals.write_text(header + f'"{EVIL}renal",3,"Renal",4,case,1.000,\n')
    config["encoders"]["phantom-clip"] |= {"description": EVIL, "licence": "Acme EULA"}
    config["datasets"]["phantom-quilt"]["published"] = {"classes": 60, "samples": 43866}
    shown = fake_artifacts.finish(root, config) | {"proposals": ["phantom-quilt"]}
    for tile in (root / "results/phantom/nct-crc").rglob("*.png"):
        tile.unlink()
    return root, write((root, config, shown), root / "page.html")


def test_markup_in_names_labels_reports_and_proposals_stays_text(odd_page):
    text = odd_page[1]
    assert EVIL not in text and "<img src=x" not in text and "<script" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and f"{escape(EVIL)}renal" in text
    assert "<b>not bold</b>" not in text and "&lt;b&gt;not bold&lt;/b&gt;" in text


def test_terms_that_are_not_known_are_said(odd_page):
    text = odd_page[1]
    assert text.count("terms not known here: read them") == 1
    assert "Acme EULA (terms not known here: read them)" in text


def test_a_multi_label_dataset_shows_samples_pairs_leaks_and_proposals(odd_page):
    text = odd_page[1]
    assert "Proposed merges of labels (1)" in text
    assert "Most frequent pairs" in text
    assert text.count("<strong>This split leaks.</strong>") == 2, "the random rows, and the tiles"
    assert "No group and no image is in two splits." in text


def test_classes_and_samples_stand_beside_the_papers(odd_page):
    root, text = odd_page
    page = " ".join(text.split())
    labels = root / "results/labels/phantom-quilt.parquet"
    samples, classes = len(tables.read(labels)), len(tables.about(labels)["classes"])
    assert f"had 60 classes in 43 866 samples; here are {classes} in {samples}." in page
    assert page.count("the paper's cannot be compared with those here") >= 1


def test_tiles_that_have_gone_leave_the_page_whole(odd_page):
    assert "Examples" in odd_page[1]


def test_writing_the_page_twice_gives_equal_bytes(world, html, tmp_path):
    assert write(world, tmp_path / "again.html") == html


def test_the_page_is_light(html):
    assert len(html.encode()) < 3_000_000


def test_results_of_the_phantom_are_marked(html):
    assert '<span class="badge">phantom</span>' in html
    assert "phantom (synthetic)" in html


def test_example_pairs_show_the_retrieved_text_beside_its_similarity(world, html):
    root = world[0]
    pairs = tables.read(root / "results/pairs/phantom-clip/phantom-crc.phantom-tcga-colon.parquet")
    first = pairs[pairs["rank"] == 1]
    own = first[first["image_id"].str.startswith("adipose")].sort_values("similarity").iloc[-1]
    assert f"<b>{own['similarity']:.2f}</b>highest similarity" in html
    assert own["report_id"] in html


def test_a_corrected_pairing_stands_below_the_plain_one_with_its_own_hubness(world, html):
    root = world[0]
    names = ["", ".csls"]
    base = root / "results/pairs/phantom-clip/phantom-crc.phantom-tcga-colon"
    shares = [tables.read_json(f"{base}{name}.quality.json")["top10_share"] for name in names]
    table = html[html.index('id="pairing"') :]
    places = [
        table.index("by phantom-clip<br>"),
        table.index(f"{100 * shares[0]:.1f}%"),
        table.index("by phantom-clip, csls<br>"),
        table.index(f"{100 * shares[1]:.1f}%"),
        table.index("by true attributes<br>"),
    ]
    assert places == sorted(places)
    assert html.count("Examples: ") == 1


def test_verdicts_are_those_of_the_study(world, html):
    order = pd.read_csv(world[0] / "results/studies/clip-it.order.csv")
    for step in order.itertuples():
        assert f"{step.upper} − {step.lower}" in html
        assert f'class="chip {step.verdict.replace(" ", "-")}"' in html


def test_the_config_and_the_hashes_of_artifacts_are_on_the_page(world, html):
    import hashlib

    file = world[0] / "results/labels/phantom-crc.parquet"
    assert hashlib.sha256(file.read_bytes()).hexdigest() in html
    assert "reader: nct_crc" in html and "0123456789abcdef" in html


def test_a_run_without_texts_has_a_page_without_pairing(world, tmp_path):
    root, config, shown = world
    shown = shown | {"pairs": [], "corpora": []}
    text = write((root, config, shown), tmp_path / "page.html")
    assert 'id="pairing"' not in text and 'id="results"' in text


def test_the_page_says_which_versions_made_how_many_of_its_artifacts():
    made_with = [{"torch": "2.0", "python": "3.11"}, {"torch": "2.1"}, {"torch": "2.0"}]
    shown = {"python": "3.11", "torch": "2.0 (2 of 3 artifacts), 2.1 (1 of 3 artifacts)"}
    assert provenance._versions(made_with) == shown


def test_the_best_epoch_is_that_of_each_fold():
    one = pd.DataFrame({"stage": "text", "epoch": [0, 1], "val_task": [0.1, 0.2]})
    last = pd.DataFrame({"stage": "main", "epoch": [0, 1, 2], "val_task": [0.3, 0.1, 0.2]})
    run = pd.concat([one, last], ignore_index=True)
    assert training._best_epochs(run) == ["2 of 3"] and training._best_epochs(run[:0]) == []
    folds = [run.assign(stage=f"fold {fold} " + run["stage"]) for fold in (1, 2)]
    folds[1] = folds[1][:-1]
    assert training._best_epochs(pd.concat(folds)) == ["2 of 3", "2 of 2"]


def test_without_benchmarks_there_is_no_time_section(tmp_path):
    assert timings.context(tmp_path / "nowhere") is None


@pytest.mark.parametrize("content", ["", "s\th:m", "s\th:m:s\tmax_rss\n", "\0\0\0"])
def test_a_benchmark_that_was_cut_off_is_no_job(tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/a.tsv").write_text("s\th:m:s\tmax_rss\n1.5\t0:00:01\t10\n")
    (tmp_path / "run/b.tsv").write_text(content)
    found = timings.context(tmp_path)
    assert (found["jobs"], found["seconds"]) == (1, 1.5)


def test_times_are_summed_by_rule(world):
    found = timings.context(world[0] / "results/benchmarks")
    by_rule = {row["rule"]: row for row in found["rules"]}
    assert by_rule["run"]["jobs"] == 15
    assert found["seconds"] == pytest.approx(sum(row["seconds"] for row in found["rules"]))
    assert np.isnan(by_rule["study"]["memory"])  # too short a job for Snakemake to measure


def test_the_page_says_how_fast_images_were_embedded_and_how_long_the_device_waited(html):
    row = html[html.index("Images per second") :]
    assert "phantom-crc" in row and ("1234.6" in row or "1,234.6" in row) and "7%" in row


def test_figures_are_equal_byte_by_byte_and_carry_no_date():
    tokens = {"clip": np.arange(20), "other": np.arange(30)}
    first, second = plots.chunk_lengths(tokens), plots.chunk_lengths(tokens)
    assert first == second and "dc:date" not in first and "DejaVu" not in first


def test_inlined_figures_share_no_ids():
    svg = plots.chunk_lengths({"clip": np.arange(20)})
    one, two = (style.inline(svg, name, "label") for name in ("one", "two"))
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, two)]
    assert ids[0] and not ids[0] & ids[1]
    for text, known in zip((one, two), ids, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", text)) <= known
        assert set(re.findall(r'href="#([^"]+)"', text)) <= known


def test_labels_with_dollar_signs_are_no_formulas():
    table = pd.DataFrame(
        {"label": ["cost $x_", "$"], "raw": 1, "cleaned": 1, "train": 1, "val": 0, "test": 0}
    )
    assert "cost $x_" in label_figures.frequencies(table, {}, False)


def test_a_title_of_any_characters_is_shown_as_it_is():
    figure, _ = style.panels(1, 1, 4, 2)
    figure.suptitle("US$5_{x against US$6 & <b> \\$ %s ^")
    assert "US$5_{x against US$6 &amp; &lt;b&gt; \\$ %s ^" in style.svg(figure)


def test_every_name_of_many_looks_different():
    names = [str(number) for number in range(30)]
    colours, markers = style.colours(names), style.markers(names)
    assert len({(colours[name], markers[name]) for name in names}) == 30


def test_thumbnails_keep_proportions_and_shrink_only():
    import base64
    from io import BytesIO

    uri = thumbnails.data_uri(Image.new("RGB", (200, 100)), 50)
    picture = Image.open(BytesIO(base64.b64decode(uri.split(",")[1])))
    assert picture.size == (50, 25) and picture.format == "JPEG"


def test_numbers_that_do_not_exist_are_dashes():
    assert (
        templates.number(None) == templates.percent(float("nan")) == templates.signed(None) == "–"
    )
    assert templates.signed(-0.0514) == "−0.051" and templates.number(0.0) == "0.000"
    assert templates.big(1234567) == "1\u202f234\u202f567"


def test_small_probabilities_are_powers_of_ten_and_impossible_numbers_of_seeds_are_said():
    shown = [templates.probability(p) for p in (0.25, 0.0009, 1.2e-9, None)]
    assert shown == ["0.250", "9·10⁻⁴", "1·10⁻⁹", "–"]
    assert [templates.seeds(n) for n in (17.0, float("inf"), None)] == [
        "17",
        "over 10\u202f000",
        "–",
    ]
    assert templates.inside("Micro AUC") == "micro AUC"
    assert templates.inside("Hamming loss") == "Hamming loss"


def test_the_look_follows_templates_and_style():
    assert re.fullmatch("[0-9a-f]{16}", look()) and look() == look()


def test_the_page_and_the_studies_are_made_without_torch():
    scripts = Path(overview.__file__).parents[2]
    names = (
        "histopair.pages.overview",
        "histopair.evaluation.metrics",
        "histopair.retrieval.pairing_quality",
    )
    source = f"import sys, json; sys.path.insert(0, {str(scripts)!r})\n"
    source += "\n".join(f"import {name}" for name in names)
    source += "\nprint(json.dumps([m for m in ('torch', 'snakemake') if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


def test_names_in_the_pairing_table_may_wrap_for_it_is_wide(html):
    css = (templates.HERE / "page.css").read_text(encoding="utf-8")
    assert "table.wordy tbody th { white-space: normal;" in css
    section = html[html.index('<section id="pairing">') :]
    assert section.index('<div class="scroll"><table class="wordy">') == section.index(
        '<div class="scroll">'
    )
