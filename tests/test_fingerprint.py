"""The code fingerprint sees what code does, through imports, and nothing else."""

import ast

import pytest

from histopair.plan import fingerprint as fp


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


def changed(tree, file, old, new, *modules) -> bool:
    before = fp.fingerprint("step.py", *modules)
    text = (tree / file).read_text()
    assert old in text
    (tree / file).write_text(text.replace(old, new))
    fp._meaning.cache_clear(), fp._imports.cache_clear(), fp._tree.cache_clear()
    return fp.fingerprint("step.py", *modules) != before


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


def test_every_training_method_and_encoder_kind_declares_its_needs():
    from histopair.plan import recipes

    for kind, literal in (("methods", "NEEDS"), ("pretrain", "REQUIRES")):
        assert recipes.known(kind)
        for name in recipes.known(kind):
            assert isinstance(fp.constant(f"histopair.{kind}.{name}", literal), tuple)


def test_score_does_not_reach_training_code():
    scoring = fp.import_closure(set(fp._imports(fp.SCRIPTS / "score.py")))
    assert not {"histopair.training.loop", "histopair.encoders.embed"} & scoring
