"""The main job on real photographs; skipped, with what is missing, where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import real_folder

from defectsynth import AnomalySynthesizer, load_recipe, preset_names
from defectsynth.errors import LeakageError
from defectsynth.files import list_images, read_image
from defectsynth.job import Job
from defectsynth.render import render
from defectsynth.statistics import compare, dataset_measures
from defectsynth.verify import verify

pytestmark = pytest.mark.real

OBJECTS = ("mvtec_bottle", "mvtec_screw", "mvtec_hazelnut_mini", "mvtec_transistor_mini")
TEXTURES = ("mvtec_grid", "magnetic_tile")
SAMPLES = 60


def synthesizer(recipe: str, folder: str) -> AnomalySynthesizer:
    elsewhere = "mvtec_bottle" if folder == "magnetic_tile" else "magnetic_tile"
    chosen = load_recipe(recipe).with_settings(["normal_fraction=0"])
    return AnomalySynthesizer(
        chosen,
        textures=real_folder("textures") if "textures" in chosen.needs else None,
        defects=real_folder(elsewhere) if "defects" in chosen.needs else None,
        normals=real_folder(folder) / "train" / "good" if "normals" in chosen.needs else None,
        seed=7,
    )


@pytest.mark.parametrize("recipe", preset_names())
@pytest.mark.parametrize("folder", ["mvtec_bottle", "mvtec_screw", "magnetic_tile"])
def test_laws_of_every_preset(recipe, folder):
    synth = synthesizer(recipe, folder)
    photos = list_images(real_folder(folder) / "train" / "good")
    for index in range(SAMPLES):
        image = read_image(photos[index * 7 % len(photos)])
        sample = synth(image, index=index)
        assert sample.mask.any()
        assert (sample.image[sample.mask == 0] == image[sample.mask == 0]).all()
        assert (sample.image[sample.mask != 0] != image[sample.mask != 0]).any()
        if index % 10 == 0:
            assert synth.paint(image, sample.plan).image.tobytes() == sample.image.tobytes()


@pytest.mark.parametrize("folder", OBJECTS + TEXTURES)
def test_render_and_verify(folder, tmp_path):
    elsewhere = "mvtec_bottle" if folder == "magnetic_tile" else "magnetic_tile"
    job = Job(
        images=str(real_folder(folder) / "train" / "good"),
        defects=str(real_folder(elsewhere)),
        exclude=(str(real_folder(folder) / "test"),),
        count=16,
        seed=7,
        train_fraction=0.0,
    )
    report = render(job, load_recipe("peng2024"), tmp_path / "set")
    assert report.pictures == 16
    assert verify(tmp_path / "set").problems == []


def test_defects_of_the_evaluated_set_are_refused():
    folder = real_folder("magnetic_tile")
    with pytest.raises(LeakageError, match="388 anomaly sources share a picture"):
        AnomalySynthesizer("peng2024", defects=folder, exclude=[folder / "test"])


@pytest.mark.parametrize(
    ("folder", "settings"),
    [("magnetic_tile", []), ("mvtec_screw", ["kinds.*.mask.area_range=[0.01,0.06]"])],
    ids=["tile", "screw"],
)
def test_industrial_defects_have_real_sizes(folder, settings, tmp_path):
    """Medians within a factor of two of the real ones: by default on tiles, with one setting on screws."""
    job = Job(images=str(real_folder(folder) / "train" / "good"), count=100, seed=1, train_fraction=0.0)
    render(job, load_recipe("industrial").with_settings(settings), tmp_path / "set", workers=2)
    comparison = compare(dataset_measures(tmp_path / "set"), dataset_measures(real_folder(folder)))
    for measure in ("area", "components"):
        own, real = comparison[measure]
        assert 0.5 <= own.median / real.median <= 2.0, (measure, own, real)
        assert real.holds(own.median)


def test_area_of_draem_masks_stays_as_published():
    synth = synthesizer("draem-code", "mvtec_bottle")
    image = read_image(list_images(real_folder("mvtec_bottle") / "train" / "good")[0])
    areas = [np.count_nonzero(synth(image, index=index).mask) / image[:, :, 0].size for index in range(150)]
    assert 0.040 < np.median(areas) < 0.056
