"""Statistics: measures of shapes whose values are known, and tables of two datasets."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from conftest import picture

from defectsynth.charts import histograms
from defectsynth.errors import ImageError
from defectsynth.formats.mvtec import read_defects, read_mvtec, write_mvtec
from defectsynth.statistics import MEASURES, as_rows, compare, dataset_measures, measure_defect


def test_a_square_on_grey():
    image, mask = np.full((100, 100), 100, np.uint8), np.zeros((100, 100), np.uint8)
    mask[20:30, 40:50], image[20:30, 40:50] = 255, 151
    found = measure_defect(image, mask)
    assert found["area"] == pytest.approx(0.01)
    assert found["components"] == 1
    assert found["elongation"] == pytest.approx(1.0)
    assert found["contrast"] == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize("angle", [0, 30, 90, 135])
def test_elongation_does_not_depend_on_direction(angle):
    mask = np.zeros((200, 200), np.uint8)
    cv2.ellipse(mask, (100, 100), (60, 15), angle, 0, 360, 255, -1)
    assert measure_defect(mask, mask)["elongation"] == pytest.approx(4.0, rel=0.05)


def test_pieces_are_eight_connected():
    mask = np.zeros((10, 10), np.uint8)
    mask[1, 1] = mask[2, 2] = mask[7, 7] = 255
    assert measure_defect(mask, mask)["components"] == 2


def test_compare_two_datasets(defect_folder, tmp_path):
    for number in range(5):
        mask = np.zeros((50, 50), np.uint8)
        mask[10:20, 10 : 12 + number] = 255
        write_mvtec(tmp_path, "test", "dent", f"{number}", picture((50, 50, 3)), mask)
    rows = {row["measure"]: row for row in as_rows(compare(dataset_measures(tmp_path), dataset_measures(defect_folder)))}
    assert json.dumps(rows)
    assert rows["area"]["count"] == 5
    assert rows["area"]["against_count"] == 8
    assert rows["area"]["quantiles"][2] == pytest.approx(0.016)
    assert rows["area"]["median_ratio"] == pytest.approx(0.016 / (300 / 8000), rel=0.01)
    own, other = dataset_measures(tmp_path), dataset_measures(defect_folder)
    assert set(own) == {measure.name for measure in MEASURES}
    for second in (None, other):
        assert histograms(own, second, ("a", "b")).shape == (480, 800, 3)


def test_datasets_that_cannot_be_measured(tmp_path):
    with pytest.raises(ImageError, match="is not a folder: give one in the MVTec AD layout"):
        dataset_measures(tmp_path / "none")
    write_mvtec(tmp_path, "train", "good", "0", picture((9, 9)))
    with pytest.raises(ImageError, match="has no defects"):
        dataset_measures(tmp_path)
    write_mvtec(tmp_path, "test", "dent", "0", picture((9, 9)), np.zeros((9, 9), np.uint8))
    with pytest.raises(ImageError, match=r"0_mask\.png' is empty"):
        dataset_measures(tmp_path)


def test_the_reader_reads_what_the_writer_wrote(tmp_path):
    mask = np.full((6, 6), 255, np.uint8)
    write_mvtec(tmp_path, "train", "good", "n0", picture((6, 6)))
    write_mvtec(tmp_path, "test", "good", "000", picture((6, 6)))
    write_mvtec(tmp_path, "test", "dent", "001", picture((6, 6)), mask)
    found = read_mvtec(tmp_path)
    assert [(one.split, one.kind, one.image.stem, one.mask and one.mask.name) for one in found] == [
        ("train", "good", "n0", None),
        ("test", "dent", "001", "001_mask.png"),
        ("test", "good", "000", None),
    ]
    assert len(read_defects(tmp_path)) == 1
