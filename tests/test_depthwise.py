"""The large depthwise convolution against float64, forward and both gradients, whatever the sizes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lkad_models.ops import DepthwiseConv2d, depthwise_conv2d


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("batch", "channels"), [(1, 1), (3, 5)])
@pytest.mark.parametrize(
    ("kernel", "size"), [(3, (5, 6)), (13, (16, 16)), (27, (31, 20)), (31, (32, 32)), (31, (4, 7)), (63, (9, 1))]
)
def test_it_is_the_convolution_and_so_are_its_gradients(kernel, size, batch, channels, layout):
    generator = torch.Generator().manual_seed(kernel)
    x = torch.randn(batch, channels, *size, generator=generator).contiguous(memory_format=layout)
    weight, bias = torch.randn(channels, 1, kernel, kernel, generator=generator), torch.randn(channels, generator=generator)
    outer = torch.randn(batch, channels, *size, generator=generator)
    ours = [one.detach().requires_grad_() for one in (x, weight, bias)]
    exact = [one.detach().double().requires_grad_() for one in (x, weight, bias)]
    found = depthwise_conv2d(*ours)
    expected = F.conv2d(*exact, padding=kernel // 2, groups=channels)
    found.backward(outer)
    expected.backward(outer.double())
    for own, other in [(found, expected), *zip((one.grad for one in ours), (one.grad for one in exact), strict=True)]:
        assert own.dtype == torch.float32
        assert (own.double() - other).abs().max() <= 1e-5 * other.abs().max()


def test_only_what_learns_gets_a_gradient():
    layer = DepthwiseConv2d(3, 15, bias=False)
    x = torch.rand(1, 3, 9, 9)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    layer.requires_grad_(False)
    layer(x.requires_grad_()).sum().backward()
    assert x.grad is not None


def test_half_precision_keeps_its_type():
    x, layer = torch.rand(1, 4, 16, 16), DepthwiseConv2d(4, 27)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(x.requires_grad_())
        found.float().sum().backward()
    assert found.dtype == torch.bfloat16
    assert x.grad is not None
    assert layer.weight.grad is not None
