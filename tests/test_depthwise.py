"""The depthwise convolution against float64, forward and both gradients, by every way, whatever sizes, layouts and types."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from defectsynth.errors import InputError
from lkad_models.ops import DepthwiseConv2d, crossover, depthwise_conv2d
from lkad_models.ops.by_fourier import smooth_number

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WAYS = ("auto", "aten", "fft", "triton")
LIMITS = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-2}
LAYOUTS = (torch.contiguous_format, torch.channels_last)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def check(way, batch, channels, size, kernel, *, layout=LAYOUTS[0], dtype=torch.float32, **how):
    """Result and gradients against torch's own in double precision, and the layout of what was given."""
    x = drawn(batch, channels, *size).to(dtype).contiguous(memory_format=layout)
    weight, bias = drawn(channels, 1, *kernel, seed=1).to(dtype), drawn(channels, seed=2).to(dtype)
    ours = [one.detach().requires_grad_() for one in (x, weight, bias)]
    exact = [one.detach().double().contiguous().requires_grad_() for one in (x, weight, bias)]
    found = depthwise_conv2d(*ours, backend=way, **how)
    around = how.get("padding", "same")
    gap = how.get("dilation", 1)
    sides = tuple(gap * (side // 2) for side in kernel) if around == "same" else around
    expected = F.conv2d(*exact, stride=how.get("stride", 1), padding=sides, dilation=gap, groups=channels)
    assert found.shape == expected.shape
    outer = drawn(*found.shape, seed=3).to(dtype)
    found.backward(outer)
    expected.backward(outer.double())
    for own, other in [(found, expected), *zip((one.grad for one in ours), (one.grad for one in exact), strict=True)]:
        assert own.dtype == dtype
        assert (own.double() - other).abs().max() <= LIMITS[dtype] * other.abs().max()
    assert found.is_contiguous(memory_format=layout)
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("way", ["auto", "aten", "fft"])
@pytest.mark.parametrize(
    ("batch", "channels", "size", "kernel"),
    [
        (1, 1, (5, 6), (3, 3)),
        (3, 5, (16, 16), (13, 13)),
        (1, 2, (31, 20), (27, 27)),
        (2, 3, (4, 7), (31, 31)),
        (1, 2, (9, 1), (63, 63)),
        (2, 2, (17, 40), (5, 31)),
        (1, 2, (40, 18), (51, 3)),
    ],
)
def test_it_is_the_convolution_and_so_are_its_gradients(way, batch, channels, size, kernel, layout):
    check(way, batch, channels, size, kernel, layout=layout)


@pytest.mark.parametrize(
    ("channels", "size", "kernel", "layout"),
    [
        (1, (5, 6), (3, 3), LAYOUTS[0]),
        (3, (16, 37), (13, 5), LAYOUTS[0]),
        (2, (20, 40), (7, 9), LAYOUTS[1]),
        (1, (4, 7), (31, 31), LAYOUTS[0]),
        (1, (9, 1), (63, 17), LAYOUTS[1]),
        (1, (6, 40), (3, 63), LAYOUTS[0]),
    ],
)
def test_so_it_is_in_triton(channels, size, kernel, layout):
    check("triton", 2, channels, size, kernel, layout=layout)  # few: the interpreter takes a second for thirty rows of taps


@pytest.mark.parametrize("way", ["auto", "aten", "fft"])
@pytest.mark.parametrize(
    "how",
    [
        {"stride": 2},
        {"dilation": 3},
        {"stride": (1, 3), "dilation": 2, "padding": (4, 0)},
        {"padding": 9},
        {"padding": 0},
        {"stride": 5, "padding": (1, 7)},
    ],
    ids=str,
)
def test_strides_paddings_and_dilations(way, how):
    check(way, 2, 3, (21, 24), (7, 5), **how)
    check(way, 1, 2, (20, 19), (3, 7), layout=torch.channels_last, **how)


@pytest.mark.parametrize("way", ["aten", "fft", "triton"])
def test_even_kernels_and_paddings_that_are_not_half_of_them(way):
    check(way, 1, 2, (12, 14), (4, 6), padding=(1, 5))
    check(way, 1, 2, (12, 14), (8, 8), padding=0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_summed_in_single_precision(way, dtype):
    check(way, 1, 3, (18, 20), (13, 13), dtype=dtype)


@pytest.mark.parametrize("way", ["auto", "aten", "fft"])
def test_many_channels_and_large_maps(way):
    check(way, 1, 1024, (6, 6), (7, 7), layout=torch.channels_last)
    check(way, 1, 2, (90, 130), (31, 31))


@pytest.mark.parametrize("way", ["aten", "fft"])
def test_gradients_in_double_precision(way):
    x, weight, bias = (one.double().cpu().requires_grad_() for one in (drawn(2, 2, 6, 5), drawn(2, 1, 5, 3), drawn(2)))
    assert torch.autograd.gradcheck(lambda *given: depthwise_conv2d(*given, backend=way), (x, weight, bias))
    strided = {"stride": 2, "dilation": (1, 2), "padding": (2, 2), "backend": way}
    assert torch.autograd.gradcheck(lambda *given: depthwise_conv2d(*given, **strided), (x, weight, bias))


def test_only_what_learns_gets_a_gradient():
    layer = DepthwiseConv2d(3, 15, bias=False, backend="fft")
    x = torch.rand(1, 3, 9, 9)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    layer.requires_grad_(False)
    layer(x.requires_grad_()).sum().backward()
    assert x.grad is not None


def test_autocast_keeps_its_type():
    x, layer = torch.rand(1, 4, 16, 16), DepthwiseConv2d(4, 27)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(x.requires_grad_())
        found.float().sum().backward()
    assert found.dtype == torch.bfloat16
    assert x.grad is not None
    assert layer.weight.grad is not None


# --- at home in torch ----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # of the check itself
@pytest.mark.parametrize("way", ["aten", "fft", "triton"])
def test_the_operation_keeps_torchs_contract(way):
    x, weight = drawn(1, 2, 8, 9).requires_grad_(), drawn(2, 1, 5, 5).requires_grad_()
    given = (x, weight, [1, 1], [2, 2], [1, 1], " ".join([way] * 3))
    torch.library.opcheck(torch.ops.lkad.depthwise_conv2d, given)


@pytest.mark.parametrize("way", ["auto", "fft"])
def test_it_compiles_whole(way):
    layer = nn.Sequential(DepthwiseConv2d(3, 15, backend=way), nn.GELU())
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    for side in (12, 17):
        x = torch.rand(2, 3, side, side)
        found, expected = compiled(x), layer(x)
        assert torch.allclose(found, expected, atol=1e-6)
        assert torch.allclose(*(torch.autograd.grad(one.sum(), layer[0].weight)[0] for one in (found, expected)), atol=1e-4)


def test_what_is_exported_is_a_plain_convolution():
    layer = DepthwiseConv2d(3, 31, backend="fft")
    program = torch.export.export(layer, (torch.rand(1, 3, 20, 20),))
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert called == {"aten.conv2d.default"}
    assert torch.allclose(program.module()(x := torch.rand(1, 3, 20, 20)), layer(x), atol=1e-5)


def test_the_module_is_a_convolution_with_its_parameters():
    layer = DepthwiseConv2d(4, (3, 9), stride=2, dilation=2, bias=False)
    plain = nn.Conv2d(4, 4, (3, 9), stride=2, padding=(2, 8), dilation=2, groups=4, bias=False)
    plain.load_state_dict(layer.state_dict())
    x = torch.rand(2, 4, 30, 31)
    assert torch.allclose(layer(x), plain(x), atol=1e-6)
    assert isinstance(layer, nn.Conv2d) and layer.padding == (2, 8)


# --- which way -----------------------------------------------------------------------------------------------------------


def test_auto_takes_what_was_the_fastest_of_every_row_that_was_measured():
    rows = crossover.table()
    assert {row.direction for row in rows} == {"forward", "input", "weight"}
    for row in rows:
        x, weight = (
            torch.empty(row.batch, row.channels, row.side, row.side),
            torch.empty(row.channels, 1, row.kernel, row.kernel),
        )
        geometry = crossover.Geometry((1, 1), (row.kernel // 2,) * 2, (1, 1))
        assert row.device == "cuda" or crossover.choose(row.direction, x, weight, geometry) == row.fastest
        assert crossover.choose(row.direction, x, weight, geometry._replace(stride=(2, 2))) == "aten"
    assert crossover._nearest("mps", "forward", 31.0, 32.0, 1, 8) == "aten"


def test_periods_have_fast_transforms():
    for least in range(1, 400):
        found = smooth_number(least)
        assert found >= least and 60**12 % found == 0
        assert not any(60**12 % number == 0 for number in range(least, found))


# --- what cannot be ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "weight", "how", "said"),
    [
        ((3, 8, 8), (3, 1, 3, 3), {}, r"x is \(3, 8, 8\)"),
        ((1, 3, 8, 8), (4, 1, 3, 3), {}, r"3 channels take \(3, 1, kh, kw\)"),
        ((1, 3, 8, 8), (3, 3, 3, 3), {}, r"3 channels take"),
        ((1, 3, 8, 8), (3, 1, 65, 3), {}, "63 is the most"),
        ((1, 3, 8, 8), (3, 1, 4, 3), {}, "'same' takes odd ones"),
        ((1, 3, 8, 8), (3, 1, 3, 3), {"padding": "valid"}, "give 'same', a number or a pair"),
        ((1, 3, 8, 8), (3, 1, 3, 3), {"padding": -1}, "a number from 0 on"),
        ((1, 3, 8, 8), (3, 1, 3, 3), {"stride": 0}, "a number from 1 on"),
        ((1, 3, 8, 8), (3, 1, 3, 3), {"dilation": (1, 2, 3)}, "a number from 1 on"),
        ((1, 3, 8, 8), (3, 1, 9, 9), {"padding": 0}, "give more padding"),
        ((1, 3, 8, 8), (3, 1, 3, 3), {"backend": "cudnn"}, "give one of auto, aten, fft, triton"),
    ],
)
def test_what_breaks_a_rule_is_said(x, weight, how, said):
    with pytest.raises(ValueError, match=said):
        depthwise_conv2d(torch.rand(x), torch.rand(weight), **how)


def test_types_that_differ_are_refused():
    with pytest.raises(ValueError, match="of one floating type"):
        depthwise_conv2d(torch.rand(1, 3, 8, 8), torch.rand(3, 1, 3, 3).double())


def test_what_triton_cannot_is_said(monkeypatch):
    x, weight = torch.rand(1, 3, 8, 8), torch.rand(3, 1, 3, 3)
    for how in ({"stride": 2}, {"dilation": 2}):
        with pytest.raises(InputError, match="takes stride 1, dilation 1"):
            depthwise_conv2d(x, weight, backend="triton", **how)
    with pytest.raises(InputError, match="less padding than the kernel"):
        depthwise_conv2d(x, weight, backend="triton", padding=3)
    monkeypatch.setattr("lkad_models.ops.by_triton.interpreted", lambda: False)
    with pytest.raises(InputError, match="runs on a GPU and x is on the CPU"):
        depthwise_conv2d(x, weight, backend="triton")
