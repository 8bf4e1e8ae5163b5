"""The ablation's eight rows, and that no detector learns from its own test set unless that is asked for and said."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import picture

from defectsynth.banks import DefectBank
from defectsynth.errors import InputError, LeakageError, SourceError
from defectsynth.files import write_image
from defectsynth.formats.mvtec import write_mvtec
from lkad_models import LKAD, LKADConfig, evaluation, training
from lkad_models.ablation import RESULTS, ROWS, ablate, ablation_table
from lkad_models.evaluation import evaluate
from lkad_models.large_kernel import LargeKernelConv
from lkad_models.painter import Painter
from lkad_models.report import write_report
from lkad_models.run import read_config
from lkad_models.training_config import TrainingConfig

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning",  # of Lightning, about torch
    "ignore::lightning.pytorch.utilities.warnings.PossibleUserWarning",
)
SIDE = 48


def write_product(root, name, seed):
    """Four normal pictures to learn from; two normal and two defective ones to be judged by."""
    for number in range(4):
        write_mvtec(root / name, "train", "good", f"{number:03d}", picture((SIDE, SIDE, 3), seed=seed + number))
    for number in range(2):
        write_mvtec(root / name, "test", "good", f"{number:03d}", picture((SIDE, SIDE, 3), seed=seed + 10 + number))
        image, mask = picture((SIDE, SIDE, 3), seed=seed + 20 + number), np.zeros((SIDE, SIDE), np.uint8)
        top = 8 + 12 * number
        mask[top : top + 12, 10 : 20 + seed // 20] = 255
        image[mask > 0] = 255 - image[mask > 0]
        write_mvtec(root / name, "test", "hole", f"{number:03d}", image, mask)


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    root = tmp_path_factory.mktemp("products")
    for place, name in enumerate(("cap", "cog", "lid")):
        write_product(root, name, 100 * place)
    return root


def config_of(products, out, **changes) -> TrainingConfig:
    settings = {
        "data": products / "cog",
        "out": out,
        "recipe": "peng2024",
        "textures": "builtin:rust",
        "defects": products,
        "settings": ("foreground.method=none",),
        "model": LKADConfig(size="tiny", image_size=32),
        "max_steps": 1,
        "epoch_steps": 1,
        "batch_size": 2,
        "accelerator": "cpu",
        "progress": False,
    }
    return TrainingConfig(**{**settings, **changes})


# --- defects of many products -------------------------------------------------------------------------------------------


def test_a_folder_of_products_is_a_bank_of_all_their_defects(products):
    bank = DefectBank(products)
    assert bank.kinds == ["cap/hole", "cog/hole", "lid/hole"]
    assert bank.names_of("cog/hole") == ["cog/hole/000", "cog/hole/001"]
    own = DefectBank(products / "cog")
    assert bank.hash_of("cog/hole/001") == own.hash_of("hole/001")
    assert DefectBank(products, omit=["cog"]).kinds == ["cap/hole", "lid/hole"]


def test_a_bank_without_a_product_left_says_so(products):
    with pytest.raises(SourceError, match="no product but those that are left out"):
        DefectBank(products, omit=["cap", "cog", "lid"])


# --- the honest protocol, and the other ---------------------------------------------------------------------------------


def painter_of(products, **changes):
    settings = {"recipe": "peng2024", "defects": str(products), "data": products / "cog"}
    return Painter(**{**settings, **changes})


def test_the_own_product_is_left_out_unless_leaky_is_asked_for(products):
    others, every = painter_of(products).learned(), painter_of(products, protocol="leaky").learned()
    assert len(others) == 4
    assert set(others) < set(every)
    assert len(every) == 6


def test_the_own_test_set_is_refused_by_what_it_shows_not_by_its_name(products, tmp_path):
    copied = tmp_path / "copied" / "elsewhere"
    for path in sorted((products / "cog").rglob("*.png")):
        target = copied / path.relative_to(products / "cog")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    for folder in (tmp_path / "copied", copied):
        with pytest.raises(LeakageError, match="--protocol leaky"):
            painter_of(products, defects=str(folder)).learned()
        assert painter_of(products, defects=str(folder), protocol="leaky").learned()


def test_nothing_is_trained_where_defects_leak(products, tmp_path):
    with pytest.raises(LeakageError):
        training.train(config_of(products, tmp_path / "run", defects=products / "cog"))
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_a_leaky_run_says_so_wherever_it_is_judged(products, tmp_path):
    run = training.train(config_of(products, tmp_path / "run", defects=products / "cog", protocol="leaky"))
    assert read_config(run).leaky
    found = evaluate(run, products / "cog", resamples=0)
    assert found.warning is not None and "LEAKY" in found.warning and "2 of these pictures" in found.warning
    assert found.to_dict()["protocol"] == "leaky"
    assert found.warning in str(evaluation.metrics_table(found).caption)
    assert found.warning in write_report(found, evaluation.load(run), tmp_path / "report.html").read_text()
    elsewhere = evaluate(run, products / "lid", resamples=0)
    assert elsewhere.warning is not None and "0 of these pictures" in elsewhere.warning


def test_an_honest_run_is_not_judged_by_the_defects_it_has_learned_from(products, tmp_path):
    run = training.train(config_of(products, tmp_path / "run"))
    assert evaluate(run, products / "cog", resamples=0).warning is None
    with pytest.raises(LeakageError, match="learned from 'test/hole/000"):
        evaluate(run, products / "lid", resamples=0)


# --- the rows -----------------------------------------------------------------------------------------------------------


def test_the_rows_build_what_they_name():
    assert len(set(ROWS)) == 8
    assert ROWS[0].paper_auroc == 98.00 and ROWS[-1].paper_auroc == 99.70
    for row in ROWS:
        config = row.model("tiny", 64, 3)
        model = LKAD(config)
        kernels = {module.kernel for module in model.modules() if isinstance(module, LargeKernelConv)}
        assert (kernels == {3}) == (not row.large_kernel)
        assert (model.features is None) == (not row.features)
        assert row.training is None or (model.features is not None and model.features.sync == row.training)


def test_rows_are_done_once_and_shown_beside_the_papers(products, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr("lkad_models.ablation.train", lambda config, **more: trained.append(config) or training.train(config))
    config = config_of(products, tmp_path / "out", settings=())
    begun = []
    ablate(config, [1], progress=lambda number, row: begun.append((number, row)))
    found = ablate(config, [1, 4])
    assert [result.number for result in found] == [1, 4]
    assert [one.recipe for one in trained] == ["draem-code", "draem-code"]
    assert begun == [(1, ROWS[0])]
    kept = json.loads((tmp_path / "out" / RESULTS).read_text())
    assert [one["number"] for one in kept["results"]] == [1, 4]
    assert found[0].steps == 1 and 0.0 <= found[0].metrics["image_auroc"] <= 1.0
    table = ablation_table(found)
    cells = [list(column.cells) for column in table.columns]
    assert [column[0] for column in cells[:5]] == ["1", "no", "no", "DTD", "-"]
    assert cells[-3] == ["98.00", "-"]


def test_what_the_ablation_cannot_use_is_said_before_it_begins(products, tmp_path):
    with pytest.raises(InputError, match="row 9 is none"):
        ablate(config_of(products, tmp_path / "out"), [9])
    with pytest.raises(InputError, match="need --defects"):
        ablate(config_of(products, tmp_path / "out", defects=None))
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / RESULTS).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        ablate(config_of(products, tmp_path / "out"), [1])
    content = {"budget": {"seed": 5}, "results": []}
    (tmp_path / "out" / RESULTS).write_text(json.dumps(content))
    with pytest.raises(InputError, match="another configuration"):
        ablate(config_of(products, tmp_path / "out"), [1])


def test_a_picture_that_is_no_defect_is_not_a_source(tmp_path):
    write_image(tmp_path / "a.png", picture((8, 8, 3)))
    with pytest.raises(SourceError, match="MVTec AD layout"):
        DefectBank(tmp_path)
