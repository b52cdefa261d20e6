"""The page of the second read in a real browser: by pointer, by keyboard, by ear, on a phone."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histopair.files import answers

pytest_plugins = ["served"]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
SLOW = 60_000  # ms: a busy machine is no failure
expect.set_options(timeout=SLOW)

ROOT = Path(__file__).parents[1]
CHROMIUM = next(
    (path for path in map(Path, ("/usr/bin/chromium", "/usr/bin/google-chrome")) if path.exists()),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")


class Server:
    """`histopair serve` in a folder, on a free port, or on a given one; ended as a context."""

    def __init__(self, folders, here: Path, port: int = 0, more=()):
        words = ["serve", *map(str, folders), "--port", str(port), "--upload", "1", *more]
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "workflow" / "commands"), *words],
            cwd=here,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = [self.process.stdout.readline() for _ in range(3)]
        self.url = re.search(r"http://[\d.]+:\d+", lines[1])[0]
        self.port = int(self.url.rpartition(":")[2])

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(60)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end()


@pytest.fixture(scope="module")
def here(tmp_path_factory, tile):
    """Where the server runs: a queue of two samples, and the answers that it gets."""
    here = tmp_path_factory.mktemp("here")
    (here / "root").mkdir()
    shutil.copy(tile, here / "root")
    other = here / "root" / "other.png"
    Image.new("RGB", (50, 40), (200, 20, 90)).save(other)
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (tile, other)]
    rows = [f"tile.png,{digests[0]},val", f"other.png,{digests[1]},val"]
    (here / "queue.csv").write_text("\n".join(["path,sha256,split", *rows, ""]))
    return here


@pytest.fixture(scope="module")
def server(folders, here):
    with Server(folders, here, more=["--queue", "queue.csv", "--root", "root"]) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as here:
        browser = here.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, server):
    """A page that shows a server, in a window of its own; no script of it fails."""
    contexts, faults = [], []

    def of(width: int = 1200, height: int = 900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(SLOW)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.extend(elsewhere(request.url, server.url)))
        page.goto(server.url)
        expect(page.get_by_label("Model")).to_have_value("tiles/vit/linear_head/0")
        return page

    yield of
    for context in contexts:
        context.close()
    assert faults == []


def elsewhere(url: str, home: str) -> list[str]:
    """The address, if it is not the server's own."""
    return [] if url.startswith((home, "blob:", "data:")) else [url]


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiles") / "tile.png"
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def choose(page, path):
    page.get_by_label("Choose").set_input_files(path)
    expect(page.get_by_role("status")).to_contain_text(f"{path.name}, ")


def ask(page):
    page.get_by_role("button", name="Rank the findings").click()
    expect(page.get_by_role("heading", name="Answer")).to_be_visible()
    return page.get_by_role("list", name="Findings").get_by_role("listitem").all_inner_texts()


def test_an_image_gets_ranked_findings_with_their_use(opened, tile):
    page = opened()
    choose(page, tile)
    findings = ask(page)
    values = [float(re.search(r"([\d.]+) %", text)[1]) for text in findings]
    assert len(values) == 2 and values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(100, abs=0.2)
    expect(page.locator("#answer")).to_contain_text("Research use only, not for diagnosis.")
    expect(page.locator("#answer")).to_contain_text("60 × 40 px of tile.png")
    about = "linear_head on tiles, encoder vit, seed 0: reads an image, ranks 2 findings."
    expect(page.locator("#model-about")).to_have_text(about)


def test_a_note_is_asked_for_where_the_model_reads_one(opened, tile):
    page = opened()
    choose(page, tile)
    note = page.get_by_label("Note")
    expect(note).to_be_hidden()
    page.get_by_label("Model").select_option("tiles/vit/fusion_frozen/0")
    page.get_by_role("button", name="Rank the findings").click()
    expect(page.get_by_role("alert")).to_contain_text("this model reads a note, and there is none")
    answers = []
    for text in ("tumour", "normal colon"):
        note.fill(text)
        expect(page.locator("#answer")).to_be_hidden()
        with page.expect_response("**/api/predict") as reply:
            ask(page)
        answers.append(reply.value.json()["findings"])
    assert answers[0] != answers[1]


def test_the_keyboard_alone_asks_and_reads_the_answer(opened, tile):
    page = opened()
    # Said early: chromium drops a dialog that it shall hand over from the press of the key on.
    page.on("filechooser", lambda chooser: chooser.set_files(tile))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the question")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#file")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("is there")
    page.keyboard.press("Tab")
    expect(page.locator("#canvas")).to_be_focused()
    for key in ("+", "+", "+", "+", "ArrowLeft", "ArrowUp", "v"):
        page.keyboard.press(key)
    expect(page.locator("#size")).to_contain_text("Region at")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.locator("#ask").evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Answer")).to_be_focused()
    outline = page.locator("#answer-title").evaluate("one => getComputedStyle(one).outlineStyle")
    assert outline != "none"


def test_what_a_screen_reader_says(opened, tile):
    page = opened()
    choose(page, tile)
    ask(page)
    page.locator("summary").first.click()
    snapshot = page.locator("body").aria_snapshot()
    for name in (
        'heading "Second read" [level=1]',
        'region "Image"',
        'application "tile.png, 60 × 40 pixels. Whole image."',
        'button "Zoom in"',
        'group "Region in pixels of the image"',
        'spinbutton "Left"',
        'form "Question"',
        'combobox "Model"',
        'region "Answer"',
        'list "Findings, the most probable first"',
    ):
        assert name in snapshot, snapshot
    expect(page.get_by_role("status")).to_contain_text(re.compile("most probable is .* %"))
    unnamed = page.locator("button:visible, input, select, textarea").evaluate_all(
        "all => all.filter(one => !one.labels?.length && !one.ariaLabel && !one.innerText).length"
    )
    assert unnamed == 0


def test_a_region_is_drawn_and_is_what_the_model_reads(opened, tile):
    page = opened()
    choose(page, tile)
    whole = ask(page)
    page.get_by_role("button", name="Draw a region").click()
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.7, steps=4)
    page.mouse.up()
    expect(page.locator("#size")).to_contain_text("Region at")
    size = re.search(r"(\d+) × (\d+) px", page.locator("#size").inner_text())
    assert ask(page) != whole
    expect(page.locator("#answer")).to_contain_text(f"It read {size[0]} of tile.png")
    page.get_by_role("button", name="Whole image").click()
    expect(page.locator("#answer")).to_be_hidden()
    assert ask(page) == whole


def test_a_region_in_numbers_stays_inside(opened, tile):
    page = opened()
    choose(page, tile)
    page.locator("summary").first.click()
    for label, value in (("Left", "50"), ("Width", "9999")):
        page.get_by_label(label).fill(value)
        page.get_by_label(label).press("Tab")
    expect(page.locator("#size")).to_contain_text("Region at 50, 0 of 60 × 40: 10 × 40 px")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_by_day_and_night(opened, tile, scheme):
    page = opened(360, 640, color_scheme=scheme, has_touch=True)
    choose(page, tile)
    ask(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("#ask").bounding_box()["height"] >= 38
    for selector in ("body", ".hint:visible", ".notice:visible", "#ask", "#findings .label"):
        for one in page.locator(selector).all()[:3]:
            assert contrast(one) >= 4.5, selector


def contrast(locator) -> float:
    """WCAG 2.2, contrast ratio of a text to what is behind it."""
    text, behind = locator.evaluate(
        """one => {
          let back = one;
          const clear = (each) => getComputedStyle(each).backgroundColor === "rgba(0, 0, 0, 0)";
          while (clear(back)) back = back.parentElement;
          return [getComputedStyle(one).color, getComputedStyle(back).backgroundColor];
        }"""
    )
    light, dark = sorted(map(luminance, (text, behind)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    values = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_two_users_see_their_own_answers(opened, tile, tmp_path):
    other = tmp_path / "other.png"
    Image.new("RGB", (60, 40), (200, 20, 90)).save(other)
    first, second = opened(), opened()
    choose(first, tile)
    choose(second, other)
    answers = ask(first), ask(second)
    assert answers[0] != answers[1]
    expect(first.locator("#answer")).to_contain_text("of tile.png")
    expect(second.locator("#answer")).to_contain_text("of other.png")


def test_hostile_names_files_and_notes_run_nothing(opened, tile, tmp_path):
    page = opened()
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    name = "<img src=x onerror=alert(1)>.png"
    choose_hostile(page, name, tile.read_bytes())
    expect(page.get_by_role("status")).to_contain_text("is there")
    ask(page)
    expect(page.locator("#answer")).to_contain_text(name)
    page.get_by_label("Model").select_option("tiles/vit/fusion_frozen/0")
    page.get_by_label("Note").fill("<script>alert(1)</script>")
    ask(page)
    assert page.locator("main img, main script").count() == 0
    for content, message in (
        (b"<script>alert(1)</script>", "not an image of a known format"),
        (b"", "not an image of a known format"),
        (b"x" * 2_000_000, "is larger than 1 MB"),
    ):
        choose_hostile(page, name, content)
        expect(page.get_by_role("alert")).to_contain_text(message)
    ask(page)


def choose_hostile(page, name, content):
    file = {"name": name, "mimeType": "image/png", "buffer": content}
    page.get_by_label("Choose").set_input_files(file)


def test_why_marks_the_image_and_the_words(opened, tile):
    page = opened()
    choose(page, tile)
    page.get_by_label("Model").select_option("tiles/vit/fusion_frozen/0")
    page.get_by_label("Note").fill("tumour <b>colon</b>")
    ask(page)
    plain = page.locator("#canvas").screenshot()
    button = page.get_by_role("button", name="Why").first
    button.click()
    expect(page.locator("#words-about")).not_to_be_empty()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#note-words")).to_have_text("tumour <b>colon</b>")
    image, why = (page.locator(name).bounding_box() for name in ("#picture", "#why"))
    assert why["x"] == image["x"] and why["y"] > image["y"] + image["height"]  # under the image
    if page.locator("#opacity").is_visible():
        marked = page.locator("#canvas").screenshot()
        assert marked != plain
        page.locator("#opacity").fill("0")
        assert page.locator("#canvas").screenshot() != marked
    button.click()
    expect(page.locator("#why")).to_be_hidden()


def test_a_short_set_is_named_and_a_long_one_is_folded(opened, tile):
    page = opened()
    choose(page, tile)

    def answer(labels):
        def change(route):
            reply = route.fetch()
            route.fulfill(response=reply, json=reply.json() | {"set": labels, "coverage": 0.9})

        page.route("**/api/predict", change)
        ask(page)
        return page.locator("#set-size").inner_text(), page.locator("#set").is_visible()

    assert answer(["c0", "c1"]) == ("May be true: 2 of the 2 findings", True)
    assert answer(["c0"] * 9) == ("May be true: 9 of the 2 findings", False)
    assert answer([]) == ("May be true: none of the 2 findings", False)
    assert answer(None)[1] is False


def test_a_reader_goes_through_the_queue_and_corrects_the_model(opened, here):
    page = opened()
    expect(page.locator("#queue-about")).to_have_text("0 of 2 answered.")
    page.get_by_role("button", name="Next in the queue").click()
    expect(page.get_by_role("status")).to_contain_text("Sample 1, 60 × 40")
    ask(page)
    page.get_by_text("Accept or correct").click()
    choices = page.get_by_role("group", name="What is true").get_by_role("radio")
    proposed = choices.evaluate_all("all => all.find(one => one.checked).value")
    other = {"c0": "c1", "c1": "c0"}[proposed]
    page.get_by_label(other, exact=True).check()
    page.get_by_role("button", name="Save my answer").click()
    expect(page.get_by_role("alert")).to_contain_text("there is no name")
    page.get_by_label("Your name or initials").fill("<i>A</i>")
    page.get_by_role("button", name="Save my answer").click()
    words = f"Saved in answers.csv: removed {proposed}; added {other}."
    expect(page.get_by_role("status")).to_have_text(words)
    expect(page.locator("#queue-about")).to_have_text("1 of 2 answered.")
    rows = answers.read(here / "answers.csv")
    assert rows[["reader", "removed", "added"]].values.tolist() == [
        ["<i>A</i>", [proposed], [other]]
    ]
    page.locator("#reader").get_by_role("button", name="Next in the queue").click()
    expect(page.get_by_role("status")).to_contain_text("Sample 2, 50 × 40")
    expect(page.locator("#canvas")).to_be_focused()


def test_an_answer_to_a_question_that_has_changed_is_not_shown(opened, tile):
    """Its findings would stand beside another model's name, and be saved as if of that model."""
    page = opened()
    choose(page, tile)

    def change(route):
        page.get_by_label("Model").select_option("tiles/vit/fusion_frozen/0")
        route.continue_()

    page.route("**/api/predict", change)
    page.get_by_role("button", name="Rank the findings").click()
    changed = "The question has changed. Ask again."
    expect(page.get_by_role("status")).to_have_text(changed)
    expect(page.locator("#answer")).to_be_hidden()


def test_an_image_that_is_not_shown_is_not_asked_about(opened, tile, tmp_path):
    page = opened()
    choose(page, tile)
    before = ask(page)
    page.route(re.compile("/view"), lambda route: route.abort())
    Image.new("RGB", (60, 40), (200, 20, 90)).save(tmp_path / "other.png")
    page.get_by_label("Choose").set_input_files(tmp_path / "other.png")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    assert ask(page) == before
    expect(page.locator("#answer")).to_contain_text("of tile.png")


def test_an_image_is_dropped_on_the_page(opened, tile):
    page = opened()
    data = page.evaluate_handle(
        """bytes => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
          return data;
        }""",
        list(tile.read_bytes()),
    )
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(page.get_by_role("status")).to_contain_text("dropped.png, 60 × 40")
    ask(page)


def test_a_client_that_still_sends_reads_why_it_is_refused(server):
    """The server reads what it refuses: else the connection breaks before its answer is read."""
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    request = urllib.request.Request(f"{server.url}/api/images", head + b"x" * 6_000_000, headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 413
    assert "the upload is too large" in json.loads(refused.value.read())["error"]


def test_a_killed_server_that_is_started_again_goes_on(browser, folders, tile, tmp_path):
    with browser.new_context() as context:
        context.set_default_timeout(SLOW)
        page = context.new_page()
        with Server(folders[:1], tmp_path) as server:
            page.goto(server.url)
            choose(page, tile)
            before = ask(page)
            server.end(signal.SIGKILL)
        page.get_by_role("button", name="Rank the findings").click()
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
        with Server(folders[:1], tmp_path, server.port) as again:
            page.get_by_role("button", name="Rank the findings").click()
            expect(page.get_by_role("alert")).to_be_hidden()
            assert ask(page) == before
    assert again.process.returncode == 0 and os.path.exists(tile)
