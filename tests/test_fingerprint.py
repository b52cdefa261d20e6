"""The code fingerprint sees what code does, through imports, and nothing else."""

import ast

import pytest

from histopair.errors import InputError
from histopair.plan import fingerprint as fp
from histopair.plan import recipes


@pytest.fixture
def tree(tmp_path, monkeypatch):
    package = tmp_path / "histopair"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("def f():\n    return 1\n")
    (package / "outer.py").write_text(
        "from histopair import inner, jobs\n\ndef g():\n    return inner.f()\n"
    )
    (package / "jobs.py").write_text("EVERY = 10\n")
    (package / "named.py").write_text("NEEDS = ('images',)\n")
    (tmp_path / "step.py").write_text("def main():\n    from histopair.outer import g\n    g()\n")
    monkeypatch.setattr(fp, "SCRIPTS", tmp_path)
    return tmp_path


def forget():
    """As a new start: nothing of the files is in memory."""
    for function in (fp._content, fp._imports, fp._meaning, fp._tree):
        function.cache_clear()


def changed(tree, file, old, new, *modules, without=()) -> bool:
    before = fp.fingerprint("step.py", *modules, without=without)
    text = (tree / file).read_text()
    assert old in text
    (tree / file).write_text(text.replace(old, new))
    forget()
    return fp.fingerprint("step.py", *modules, without=without) != before


def test_code_two_imports_away_counts(tree):
    assert changed(tree, "histopair/inner.py", "return 1", "return 2")


@pytest.mark.parametrize(
    "new",
    ["return 1  # a comment", '"""A docstring."""\n    return 1', "return (\n        1\n    )"],
)
def test_comments_docstrings_and_layout_do_not_count(tree, new):
    assert not changed(tree, "histopair/inner.py", "return 1", new)


def test_what_parameters_mean_in_words_does_not_count_and_can_still_be_read(tree):
    (tree / "histopair/inner.py").write_text("DESCRIPTIONS = {'k': 'one'}\nPARAMETERS = {'k': 1}\n")
    assert not changed(tree, "histopair/inner.py", "one", "another word")
    assert fp.constant("histopair.inner", "DESCRIPTIONS") == {"k": "another word"}
    assert changed(tree, "histopair/inner.py", "1", "2")


def test_no_code_reads_what_does_not_count():
    for path in sorted((fp.SCRIPTS / fp.PACKAGE).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            read = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
            imported = isinstance(node, ast.alias) and node.name == fp.DESCRIPTIONS
            own = path.name == "fingerprint.py"
            assert own or (not imported and not (read and node.id == fp.DESCRIPTIONS)), path


def test_logging_does_not_count(tree):
    assert not changed(tree, "histopair/jobs.py", "10", "11")


def test_modules_found_by_name_count_only_when_named(tree):
    assert not changed(tree, "histopair/named.py", "images", "texts")
    assert changed(tree, "histopair/named.py", "texts", "pairs", "histopair.named")


def test_a_module_that_does_not_exist_is_an_error(tree):
    with pytest.raises(FileNotFoundError):
        fp.fingerprint("step.py", "histopair.absent")


def test_constants_are_read_without_importing(tree):
    (tree / "histopair" / "named.py").write_text("import nothing_here\nNEEDS = ('a', 'b')\n")
    assert fp.constant("histopair.named", "NEEDS") == ("a", "b")
    with pytest.raises(KeyError):
        fp.constant("histopair.named", "SEEDS")


RECIPE = """
from histopair import inner

WIDTH = 3

def build(run):
    return inner.f() * WIDTH

@inner.mark
def predictor(run, weights):
    from histopair.serving import head
    return head(trained(run, weights))

def trained(run, weights):
    return WIDTH
"""
NAME = "histopair.methods.mine"
CUT = ("predictor", "trained")


@pytest.fixture
def recipe(tree):
    (tree / "histopair" / "methods").mkdir()
    (tree / "histopair" / "methods" / "__init__.py").write_text("")
    (tree / "histopair" / "methods" / "mine.py").write_text(RECIPE)
    (tree / "histopair" / "serving.py").write_text("def head(x):\n    return x\n")
    return tree


@pytest.mark.parametrize(
    ("file", "old", "new", "trains"),
    [
        ("methods/mine.py", "head(trained", "1 + head(trained", False),
        ("methods/mine.py", "    return WIDTH", "    return 2 * WIDTH", False),
        ("methods/mine.py", "@inner.mark", "@inner.other", False),
        ("serving.py", "return x", "return -x", False),
        ("methods/mine.py", "inner.f() *", "inner.f() +", True),
        ("methods/mine.py", "WIDTH = 3", "WIDTH = 4", True),
        ("inner.py", "return 1", "return 2", True),
    ],
)
def test_how_runs_predict_is_no_part_of_what_trains_them(recipe, file, old, new, trains):
    assert changed(recipe, f"histopair/{file}", old, new, NAME, without=CUT) == trains
    assert changed(recipe, f"histopair/{file}", new, old, NAME)  # and all is part of an export


def test_only_recipes_are_cut(recipe):
    (recipe / "histopair" / "named.py").write_text("def trained():\n    return 1\n")
    module = "histopair.named"
    assert changed(recipe, "histopair/named.py", "return 1", "return 2", module, without=CUT)


@pytest.mark.parametrize(
    "line",
    ["trained(run, 0)", "other.trained(run, 0)", "from histopair.methods.other import predictor"],
)
def test_a_recipe_that_trains_by_what_is_cut_is_one_clear_line(recipe, line):
    file = recipe / "histopair" / "methods" / "mine.py"
    file.write_text(RECIPE.replace("    return inner", f"    {line}\n    return inner"))
    fp._tree.cache_clear()
    with pytest.raises(InputError, match=r"mine.py: it uses '(trained|predictor)' where it trains"):
        fp.fingerprint("step.py", NAME, without=CUT)


def test_a_function_is_read_without_importing_its_module(tree):
    lines = "import nothing_here\n\ndef needs(method):\n    return (method['kind'], 'pairs')\n"
    (tree / "histopair" / "named.py").write_text(lines)
    fp.function.cache_clear()
    assert fp.function("histopair.named", "needs")({"kind": "images"}) == ("images", "pairs")
    assert fp.function("histopair.named", "mistakes") is None
    assert fp.defines("histopair.named", "needs")
    assert not fp.defines("histopair.named", "predictor")


def test_every_kind_of_encoder_declares_what_it_requires():
    assert recipes.known("training.pretrain")
    for name in recipes.known("training.pretrain"):
        assert isinstance(fp.constant(f"histopair.training.pretrain.{name}", "REQUIRES"), tuple)


@pytest.mark.parametrize("name", recipes.known("methods"))
def test_no_recipe_trains_by_what_only_exports_ask_for(name):
    module = f"histopair.methods.{name}"
    closure = fp.import_closure({module}, fp.AFTER_TRAINING)
    assert not {other for other in closure if other.startswith("histopair.export")}
    assert fp.fingerprint("run.py", module, without=fp.AFTER_TRAINING)


def test_score_does_not_reach_training_code():
    scoring = fp.import_closure(set(fp._imports(fp.SCRIPTS / "score.py")))
    assert not {"histopair.training.loop", "histopair.encoders.embed"} & scoring
