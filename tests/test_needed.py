"""What the studies of a config need: encoders, datasets, corpora, and trained towers."""

from pathlib import Path

import yaml

from histopair.doctor import work
from histopair.plan import load, needed

ROOT = Path(__file__).parents[1]


def test_what_the_small_config_needs_is_found_by_the_plans_own_functions():
    small = load.load(yaml.safe_load((ROOT / "tests/small.yaml").read_text()))
    paths, faults = work.paths(small)
    assert faults == []
    encoders = needed.loaded(small, paths)
    # The CLIP of locked towers is the only one that needs the words of phantom-bert.
    assert set(encoders) == {"phantom-vit", "phantom-clip", "phantom-locked-clip", "phantom-bert"}
    assert "phantom-captions" in needed.datasets(small, encoders)
    assert "phantom-hospitals" in needed.datasets(small, encoders)
    assert set(needed.corpora(small, encoders)) == {"phantom-colon", "phantom-breast"}
    one = small | {"page": ["frozen"]}
    paths, _ = work.paths(one)
    assert needed.loaded(one, paths) == ["phantom-vit"]


def test_how_much_of_an_image_tower_each_method_trains():
    whole = load.load(yaml.safe_load((ROOT / "config/config.yaml").read_text()))
    run = {"dataset": "phantom-crc", "encoder": "phantom-clip", "seed": 0}
    amounts = {
        name: needed.trained(whole, run | {"method": name})
        for name, method in whole["methods"].items()
        if method["recipe"]
        in ("linear_probe", "text_only", "lora", "attentive_probe", "fusion_partial")
    }
    by_recipe: dict[str, set] = {}
    for name, amount in amounts.items():
        by_recipe.setdefault(whole["methods"][name]["recipe"], set()).add(amount)
    frozen = ("linear_probe", "text_only", "attentive_probe")
    assert [by_recipe[recipe] for recipe in frozen] == [{0}] * 3
    assert by_recipe["lora"] == {2, "all"}  # adapters in the last two blocks, or in all
    assert by_recipe["fusion_partial"] == {0, 1, 2, 4}  # as `unfreeze` of each says
