"""Recipes: presets, YAML and back, settings, and the messages of broken ones."""

from __future__ import annotations

import pytest
import yaml

from defectsynth import Recipe, load_recipe, preset_names
from defectsynth.errors import PlanError, RecipeError
from defectsynth.plan import Plan

MINIMAL = """
name: mine
kinds:
  blob:
    mask: {kind: perlin}
    source: {kind: procedural}
    blend: {kind: linear}
"""


def test_presets_are_all_there_and_name_their_source():
    assert {"peng2024", "draem-code", "draem-paper", "anomalib", "industrial"} <= set(preset_names())
    for name in preset_names():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.description
        assert recipe.reference


@pytest.mark.parametrize("name", preset_names())
def test_yaml_round_trip(name, tmp_path):
    recipe = load_recipe(name)
    path = tmp_path / "copy.yaml"
    path.write_text(recipe.to_yaml())
    assert load_recipe(path) == recipe
    assert load_recipe(str(path)) == recipe
    assert load_recipe(yaml.safe_load(path.read_text())) == recipe


def test_draem_code_is_what_is_published():
    recipe = load_recipe("draem-code")
    kind = recipe.kinds["perlin"]
    assert (kind.mask.cells_range, kind.mask.cells_scale, kind.mask.rotation_range) == ((1, 32), "power_of_two", (-90, 90))
    assert kind.mask.threshold_range == (0.5, 0.5)
    assert kind.blend.opacity_range == (0.2, 1.0)
    assert kind.source.enhance.count == 3
    assert len(kind.source.enhance.operations) == 10
    assert recipe.normal_fraction == 0.5
    assert recipe.foreground.method == "none"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("name: mine", "name: mine\nkindss: 1"),
            r"kindss: is not a key of this part: the keys here are name, .*Did you mean 'kinds'\?",
        ),
        (
            ("{kind: perlin}", "{kind: perlin, cells_rang: [1, 2]}"),
            r"kinds\.blob\.mask: cells_rang: .*Did you mean 'cells_range'\?",
        ),
        (("{kind: perlin}", "{kind: perlim}"), r"mask kind 'perlim' is unknown: the kinds are .*Did you mean 'perlin'\?"),
        (("{kind: perlin}", "{}"), r"mask \{\} has no 'kind': give one of blob, crack, .*, outline, .*, union"),
        (
            ("{kind: perlin}", "{kind: perlin, area_range: [0.5, 0.1]}"),
            r"area_range: \[0\.5, 0\.1\] is inverted: give \[low, high\]",
        ),
        (
            ("{kind: perlin}", "{kind: perlin, area_range: [0, 0.1]}"),
            r"\[0\.0, 0\.1\] leaves its limits: both ends must lie above 0 to 1",
        ),
        (("{kind: perlin}", "{kind: perlin, components_range: [0, 2]}"), r"both ends must lie from 1 to 10000"),
        (("{kind: perlin}", "{kind: perlin, octaves: 99}"), r"octaves: .*less than or equal to 8 \(it is 99\)"),
        (("{kind: linear}", "{kind: linear, opacity_range: [0.5, 1.5]}"), r"opacity_range: \[0\.5, 1\.5\] leaves its limits"),
        (("{kind: procedural}", "{kind: procedural, families: [rst]}"), r"family 'rst' is unknown: the families are .*rust"),
        (("{kind: procedural}", "{kind: texture, enhance: {operations: [blur]}}"), r"enhance\.operations\.0: .*gamma"),
        (
            ("name: mine", "name: mine\nforeground: otsuu"),
            r"foreground\.method: foreground method 'otsuu' is unknown: .*Did you mean 'otsu'\?",
        ),
        (("  blob:", "  good:"), "kind name 'good' becomes a folder"),
        (("  blob:", "  a/b:"), "kind name 'a/b' becomes a folder"),
        (("name: mine", "name: mine\nnormal_fraction: 2"), r"normal_fraction: .*\(it is 2\)"),
        (("name: mine", "# nothing"), "name: Field required"),
        (("name: mine", "name: mine\nname: other"), "is not YAML: the key 'name' stands twice"),
        (("name: mine", "name: mine\nnormal_fraction: yes"), "normal_fraction is True: give numbers"),
        (("{kind: linear}", "{kind: linear, opacity_range: [no, yes]}"), r"opacity_range is \[False, True\]: give numbers"),
        (("name: mine", "name: mine\nmin_area: .inf"), "min_area: "),
        (("name: mine", "name: mine\nanomalies_per_image_range: [1, 300]"), r"a picture gets at most 255 defects"),
        (("{kind: perlin}", "{kind: [perlin]}"), r"mask kind \['perlin'\] is unknown"),
        (("{kind: perlin}", "{kind: perlin, cells_range: [3, 6]}"), "must be powers of two, or set cells_scale to log_uniform"),
        (("{kind: perlin}", "{kind: perlin, cells_range: [1, 1.0e+6]}"), "leaves its limits"),
        (("{kind: perlin}", "{kind: outline, components_range: [2, 2]}"), "an outline is one piece"),
        (
            ("{kind: perlin}", "{kind: union, masks: [{kind: perlin, area_range: [0.1, 0.2]}, {kind: perlin}]}"),
            "area_range and components_range belong to the union",
        ),
    ],
)
def test_broken_recipes_say_where_and_why(change, message):
    text = MINIMAL.replace(*change)
    assert text != MINIMAL
    with pytest.raises(RecipeError, match=message):
        Recipe.from_yaml(text, "mine")


def test_what_is_not_a_recipe(tmp_path):
    with pytest.raises(RecipeError, match=r"recipe 'x' is not YAML"):
        Recipe.from_yaml("a: [1", "x")
    with pytest.raises(RecipeError, match=r"recipe 'x' is a list: it must be a mapping"):
        Recipe.from_yaml("[1]", "x")
    with pytest.raises(RecipeError, match=r"neither a preset nor a \.yaml file: the presets are .*Did you mean 'industrial'\?"):
        load_recipe("industrail")
    with pytest.raises(RecipeError, match=r"gone\.yaml' cannot be read"):
        load_recipe(tmp_path / "gone.yaml")
    with pytest.raises(RecipeError, match="every kind has weight 0"):
        load_recipe("industrial").with_settings(["kinds.*.weight=0"])


def test_settings():
    recipe = load_recipe("industrial").with_settings(
        ["kinds.*.mask.area_range=[0.01, 0.06]", "normal_fraction=0.5", "foreground=none"]
    )
    assert {kind.mask.area_range for kind in recipe.kinds.values()} == {(0.01, 0.06)}
    assert recipe.normal_fraction == 0.5
    assert recipe.foreground.method == "none"
    for setting, message in {
        "normal_fraction": "has no '='",
        "kinds.stian.weight=1": r"'stian' is not one of scratch, .*Did you mean 'stain'\?",
        "kinds.*.mask.aera_range=[0,1]": "aera_range",
        "name.x.y=1": "there is nothing below 'x'",
        "kinds.*.mask.area_range=[0.2,0.1]": "is inverted",
        "name=[1": "the value is not YAML",
    }.items():
        with pytest.raises(RecipeError, match=message):
            recipe.with_settings([setting])


def test_plans_that_cannot_be_read():
    for text, message in {
        "{": "this is not a plan",
        '{"seed": 1}': "index: Field required",
        '{"seed": 1, "index": 2, "shape": [4, 4], "colour": 3}': "colour: is not a key of this part",
        '{"seed": 1, "shape": [4, 4], "index": "x"}': r"index: .*\(it is 'x'\)",
    }.items():
        with pytest.raises(PlanError, match=message):
            Plan.from_json(text)
