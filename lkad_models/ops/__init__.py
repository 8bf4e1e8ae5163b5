"""Operations that torch has no fast form of."""

from lkad_models.ops.depthwise import DepthwiseConv2d, depthwise_conv2d

__all__ = ["DepthwiseConv2d", "depthwise_conv2d"]
