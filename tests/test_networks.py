"""The detector's networks: shapes, folding, who learns from what, and losses against values computed by hand or by others."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from defectsynth.errors import InputError
from lkad_models import LKAD, LKADConfig
from lkad_models.deep_features import BackboneFeatures, TwinFeatures
from lkad_models.large_kernel import LargeKernelConv, capped_kernel
from lkad_models.losses import Losses, LossWeights, defect_map_loss, feature_loss, focal_loss, reconstruction_loss, ssim
from lkad_models.reconstruction import ReconstructionEncoder
from lkad_models.scoring import image_scores, mean_filtered


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stirred(module: nn.Module, seed: int = 1) -> nn.Module:
    """A module whose batch norms hold numbers of their own, as after training."""
    generator = seeded(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.copy_(torch.randn(norm.num_features, generator=generator))
            norm.running_var.copy_(torch.rand(norm.num_features, generator=generator) + 0.5)
            norm.weight.data.copy_(torch.randn(norm.num_features, generator=generator))
            norm.bias.data.copy_(torch.randn(norm.num_features, generator=generator))
    return module


@pytest.fixture(scope="module")
def tiny() -> LKAD:
    torch.manual_seed(0)
    return LKAD(LKADConfig(size="tiny", image_size=64))


# --- large kernels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("small", [None, 3, 5])
@pytest.mark.parametrize(("kernel", "size"), [(5, (9, 12)), (13, (16, 16)), (27, (7, 30)), (31, (32, 20)), (31, (5, 4))])
def test_folding_changes_nothing(kernel, size, small, bias):
    torch.manual_seed(kernel)
    layer = stirred(LargeKernelConv(4, kernel, small, bias=bias)).eval()
    x = torch.randn(2, 4, *size, generator=seeded())
    with torch.no_grad():
        before = layer(x)
        layer.reparameterize()
        after = layer(x)
        layer.reparameterize()
    assert len([module for module in layer.modules() if isinstance(module, nn.Conv2d)]) == 1
    assert (after - before).abs().max() <= 1e-5 * before.abs().max()


def test_timm_finds_what_to_fold():
    timm = pytest.importorskip("timm")
    model = timm.utils.reparameterize_model(nn.Sequential(LargeKernelConv(2, 7, 3)).eval())
    assert model[0].merged is not None


@pytest.mark.parametrize(("small", "kernel"), [(4, 7), (9, 7), (3, 6)])
def test_kernels_that_cannot_be_are_refused(small, kernel):
    with pytest.raises(ValueError, match="odd"):
        LargeKernelConv(2, kernel, small)


@given(st.integers(0, 20).map(lambda half: 2 * half + 1), st.integers(1, 64))
def test_a_kernel_is_never_larger_than_sees_the_whole_map(kernel, side):
    found = capped_kernel(kernel, side)
    assert found % 2 == 1
    assert found <= min(kernel, 2 * side - 1)
    assert found == kernel or found == 2 * side - 1


# --- the whole detector -------------------------------------------------------------------------------------------------


@settings(max_examples=12)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 3))
def test_any_size_goes_in_and_comes_out(tiny, height, width, count):
    with torch.no_grad():
        found = tiny.eval()(torch.rand(count, 3, height, width, generator=seeded()))
    assert found.anomaly_map.shape == (count, height, width)
    assert found.reconstruction.shape == (count, 3, height, width)
    assert found.image_score.shape == (count,)
    for values in found:
        assert values.dtype == torch.float32
        assert 0.0 <= float(values.min()) <= float(values.max()) <= 1.0


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("features", [True, False])
def test_any_channels_with_and_without_deep_features(channels, features):
    model = LKAD(LKADConfig(size="tiny", channels=channels, image_size=32, features=features)).eval()
    with torch.no_grad():
        assert model(torch.rand(1, channels, 32, 32)).reconstruction.shape == (1, channels, 32, 32)


def test_the_folded_detector_is_the_trained_one(tiny):
    model = stirred(copy.deepcopy(tiny)).eval()
    x = torch.rand(2, 3, 64, 96, generator=seeded())
    with torch.no_grad():
        before = model.repair(x).logits
        after = model.reparameterize().repair(x).logits
    assert (after - before).abs().max() <= 1e-5 * before.abs().max()


def test_memory_format_changes_nothing(tiny):
    x = torch.rand(1, 3, 64, 64, generator=seeded())
    model = copy.deepcopy(tiny).eval()
    with torch.no_grad():
        before = model(x).anomaly_map
        after = model.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last)).anomaly_map
    assert torch.allclose(before, after, atol=1e-5)


def losses_of(model: LKAD, painted: torch.Tensor, normal: torch.Tensor, mask: torch.Tensor) -> Losses:
    found = model.repair(painted)
    return Losses(
        reconstruction_loss(found.reconstruction, normal),
        feature_loss(found.features, model.features_of(normal)),
        defect_map_loss(found.logits, mask, mask),
    )


@pytest.mark.parametrize("sync", ["copy", "ema", "frozen", "grad"])
def test_gradients_reach_every_parameter_that_learns_and_no_other(sync):
    torch.manual_seed(0)
    model = LKAD(LKADConfig(size="tiny", image_size=64, feature_sync=sync)).train()
    normal = torch.rand(2, 3, 64, 64, generator=seeded())
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, :, 10:30, 20:40] = 1.0
    losses_of(model, normal * (1 - mask) + mask * 0.9, normal, mask).total(LossWeights()).backward()
    silent = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not bool(parameter.grad.abs().sum() > 0))
    ]
    assert not silent
    still = [parameter for parameter in model.features.parameters() if not parameter.requires_grad]
    assert (len(still) == 0) == (sync == "grad")
    assert all(parameter.grad is None for parameter in still)


def test_it_learns_four_pictures_by_heart():
    torch.manual_seed(0)
    model = LKAD(LKADConfig(size="tiny", image_size=32)).train()
    normal = torch.rand(4, 3, 4, 4, generator=seeded()).repeat_interleave(8, 2).repeat_interleave(8, 3)
    mask = torch.zeros(4, 1, 32, 32)
    for number in range(4):
        mask[number, 0, 4 + 4 * number : 12 + 4 * number, 8:20] = 1.0
    painted = torch.where(mask > 0, 1.0 - normal, normal)
    optimizer = torch.optim.Adam([one for one in model.parameters() if one.requires_grad], 2e-3)
    for _ in range(120):
        losses = losses_of(model, painted, normal, mask)
        optimizer.zero_grad()
        losses.total(LossWeights()).backward()
        optimizer.step()
        model.after_step()
    with torch.no_grad():
        found = as_predicted(model, painted)
    assert ((found > 0.5) == (mask[:, 0] > 0)).float().mean() > 0.97


def as_predicted(model: LKAD, painted: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(model.repair(painted).logits[:, 0])


# --- deep features ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync", ["copy", "ema", "frozen", "grad"])
def test_the_twin_follows_the_encoder_as_it_was_told(sync):
    torch.manual_seed(0)
    encoder = ReconstructionEncoder(3, (4, 8))
    twin = TwinFeatures(encoder, sync, decay=0.75)
    before = [one.clone() for one in twin.twin.parameters()]
    assert all(torch.equal(own, other) for own, other in zip(before, encoder.parameters(), strict=True))
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(1.0)
    twin.synchronise(encoder)
    moved = {"copy": 1.0, "ema": 0.25, "frozen": 0.0, "grad": 0.0}[sync]
    for own, first in zip(twin.twin.parameters(), before, strict=True):
        assert torch.allclose(own, first + moved, atol=1e-6)
        assert own.requires_grad == (sync == "grad")


def test_a_twin_that_is_copied_has_the_encoders_statistics():
    encoder = stirred(ReconstructionEncoder(3, (4, 8)))
    twin = TwinFeatures(ReconstructionEncoder(3, (4, 8)), "copy").train()
    twin.synchronise(encoder)
    x = torch.rand(1, 3, 16, 16, generator=seeded())
    with torch.no_grad():
        for own, other in zip(twin(x), encoder.eval()(x), strict=True):
            assert torch.equal(own, other)


BACKBONE = "tf_mobilenetv3_small_minimal_100"


def test_a_backbone_is_what_its_file_holds_and_stays_so(tmp_path):
    import timm

    torch.manual_seed(0)
    whole = timm.create_model(BACKBONE, pretrained=False)
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    model = LKAD(LKADConfig(size="tiny", image_size=64, backbone=BACKBONE))
    assert isinstance(model.features, BackboneFeatures)
    model.features.load_pretrained(tmp_path / "weights.pth")
    kept = {name: value.clone() for name, value in model.features.state_dict().items()}
    x = torch.rand(2, 3, 64, 64, generator=seeded())
    for own, other in zip(model.features(x), whole.eval().forward_intermediates((x - 0.5) / 0.5)[1][1:4], strict=True):
        assert torch.allclose(own, other, atol=1e-5)
    found = model.train().repair(x)
    (feature_loss(found.features, model.features_of(x)) + found.logits.mean()).backward()
    model.after_step()
    assert all(torch.equal(value, kept[name]) for name, value in model.features.state_dict().items())
    assert all(one.grad is None for one in model.features.parameters())
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in model.reconstruction.last.parameters())
    assert model.eval()(torch.rand(1, 3, 50, 70)).anomaly_map.shape == (1, 50, 70)


def test_the_prediction_may_be_given_what_a_backbone_sees_in_the_picture():
    given = {"size": "tiny", "image_size": 32, "backbone": BACKBONE}
    x = torch.rand(1, 1, 32, 32, generator=seeded())
    widths = {}
    for differences in (False, True):
        for pictures in (False, True):
            config = LKADConfig(**given, channels=1, feature_differences=differences, picture_features=pictures)
            model = LKAD(config).eval()
            widths[differences, pictures] = sum(layer.in_channels for layer in model.prediction.differences)
            assert model(x).anomaly_map.shape == (1, 32, 32)
    assert widths[False, False] == 0
    assert 0 < widths[True, False] == widths[False, True] == widths[True, True] / 2


def test_before_anything_is_learned_little_is_expected():
    model = LKAD(LKADConfig(size="tiny", image_size=32)).eval()
    assert model(torch.rand(4, 3, 32, 32, generator=seeded())).anomaly_map.mean().item() < 0.05


def test_a_backbone_that_cannot_be_used_says_why(tmp_path):
    features = BackboneFeatures(BACKBONE)
    (tmp_path / "text.pth").write_text("not weights")
    torch.save({"conv_stem.weight": torch.zeros(1)}, tmp_path / "other.pth")
    for name, said in (("text.pth", "cannot be read"), ("none.pth", "cannot be read"), ("other.pth", "do not fit")):
        with pytest.raises(InputError, match=said):
            features.load_pretrained(tmp_path / name)
    with pytest.raises(InputError, match="none of timm's networks"):
        BackboneFeatures("nothing")
    with pytest.raises(ValueError, match="1 or 3 channels, not 5"):
        LKADConfig(backbone=BACKBONE, channels=5)


# --- losses and scores --------------------------------------------------------------------------------------------------


def test_ssim_is_that_of_torchmetrics():
    from torchmetrics.functional.image import structural_similarity_index_measure

    first, second = torch.rand(2, 2, 3, 40, 53, generator=seeded(), dtype=torch.float64).unbind(0)
    _, similarity = structural_similarity_index_measure(first, second, data_range=1.0, return_full_image=True)
    inside = similarity[:, :, 5:-5, 5:-5]  # theirs mirrors the picture at its border
    assert float(ssim(first, second)) == pytest.approx(float(inside.mean()), abs=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (2, 30), (11, 11), (12, 40)])
def test_ssim_of_a_picture_with_itself_is_one(size):
    x = torch.rand(2, 3, *size, generator=seeded())
    assert float(ssim(x, x)) == pytest.approx(1.0, abs=1e-5)
    assert float(reconstruction_loss(x, x)) == pytest.approx(0.0, abs=1e-5)


def test_terms_against_values_computed_by_hand():
    logits, target = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
    right = np.array([0.5, 1.0 - 1.0 / (1.0 + np.exp(-2.0))])
    focal = float((-((1.0 - right) ** 2) * np.log(right)).mean())
    assert float(focal_loss(logits, target)) == pytest.approx(focal, rel=1e-6)
    degree = torch.tensor([[[[0.5, 0.25]]]])
    square = (0.0 + (1.0 / (1.0 + np.exp(-2.0)) - 0.25) ** 2) / 2
    assert float(defect_map_loss(logits, target, degree, 3.0)) == pytest.approx(focal + 3.0 * square, rel=1e-6)
    first = [torch.tensor([[[[1.0]], [[0.0]]]]), torch.tensor([[[[1.0]], [[1.0]]]])]
    second = [torch.tensor([[[[0.0]], [[2.0]]]]), torch.tensor([[[[3.0]], [[3.0]]]])]
    assert float(feature_loss(first, second)) == pytest.approx(0.5)
    losses = Losses(torch.tensor(1.0), torch.tensor(2.0), torch.tensor(3.0))
    assert float(losses.total(LossWeights())) == pytest.approx(1.0 + 1.6 + 0.6)


def test_focal_loss_survives_certain_logits():
    logits = torch.tensor([[[[200.0, -200.0]]]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[[[0.0, 0.0]]]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_the_score_is_the_largest_mean_over_21_pixels_at_256():
    maps = torch.zeros(2, 256, 256)
    maps[0, 100:121, 50:71] = 0.5
    maps[1, 0, 0] = 1.0
    assert torch.allclose(image_scores(maps), torch.tensor([0.5, 1.0 / 441.0]))
    assert torch.allclose(mean_filtered(maps)[1, 0, 0], torch.tensor(1.0 / 441.0))
    assert torch.allclose(image_scores(F.interpolate(maps[None], size=(512, 512))[0])[0], torch.tensor(0.5))
    assert float(image_scores(maps, "top_k")[0]) == pytest.approx(0.5)
    assert image_scores(torch.rand(3, 1, 1)).shape == (3,)


def test_with_a_smaller_window_smaller_defects_count():
    maps = torch.zeros(2, 128, 128)
    maps[0, 60:63, 60:63] = 0.9
    maps[1, 40:80, 40:80] = 0.5
    assert image_scores(maps)[0] < image_scores(maps)[1]
    assert torch.allclose(image_scores(maps, window=5), torch.tensor([0.9, 0.5]))
    found = LKAD(LKADConfig(size="tiny", image_size=32, score_window=1)).eval()(torch.rand(1, 3, 40, 40))
    assert torch.equal(found.image_score, found.anomaly_map.flatten(1).amax(1))
