"""Stone and earth: marble, granite, terrazzo, concrete, gravel, mud, foam."""

from __future__ import annotations

import numpy as np

from defectsynth.sources.families.shading import Canvas, Cells, Field, Picture, grades, mix, ramp, rgb, ridge, smooth

__all__ = ["concrete", "cracked_mud", "foam", "granite", "gravel", "marble", "terrazzo"]


def marble(seed: int, shape: tuple[int, int]) -> Picture:
    """Polished marble: clouds, and veins that fold and fade."""
    c = Canvas("marble", seed, shape)
    stones = (
        (("b9b7b4", "dedcd8", "efeeeb"), "6d6c6e"),
        (("8f8d8c", "bdbbb8", "d4d2cf"), "4c4b4d"),
        (("1a1c1e", "292b2e", "3b3e41"), "d2cdc2"),
        (("2f4239", "47604f", "5f7a66"), "c9d2c4"),
        (("b79d83", "d3bda4", "e2d2bd"), "8a5f45"),
    )
    clouds, vein = c.pick("stone", stones)
    bend_y, bend_x = c.fbm("bend.y", 2, 6), c.fbm("bend.x", 2.6, 6)
    across, along = c.turned(c.uniform("angle", 0, 180))
    y, x = across + 0.16 * bend_y, along + 0.16 * bend_x
    bold = ridge(c.streaks("bold", y, x, (4, 1.3)), 0.022) * smooth(-0.5, 0.7, bend_x)
    thin = ridge(c.streaks("thin", y + 0.05 * bend_x, x, (8, 4)), 0.022) * smooth(-0.2, 0.8, bend_y)
    haze = ridge(c.streaks("haze", y, x, (4, 1.3)), 0.3)
    fine = c.fbm("fine", 14, 6, 0.6)
    cloud = 0.62 + 0.35 * bend_y + 0.08 * fine - 0.35 * haze
    amount = np.clip(0.85 * bold + 0.6 * thin + 0.12 * haze, 0.0, 1.0)
    return c.develop(mix(ramp(cloud, clouds), rgb(vein), amount * (0.85 + 0.2 * fine)))


def granite(seed: int, shape: tuple[int, int]) -> Picture:
    """Speckled granite: feldspar, quartz and mica grains of several sizes."""
    c = Canvas("granite", seed, shape)
    kinds = (
        ("c8a796", "b98d7c", "8f8b88", "d8d2ca", "2a2829"),
        ("c9c7c3", "dedcd8", "8d8e90", "a9a9a8", "26272a"),
        ("6a6c6f", "4c4e51", "8f9193", "38393c", "17181a"),
        ("b5a183", "9c8768", "d1c5ae", "7d7265", "2c2724"),
    )
    minerals = c.pick("kind", kinds)
    count = c.uniform("grains", 42, 70)
    small = c.cells("small", count, 0.8, count / 2)
    large = c.cells("large", count * 0.42, 0.7, count / 2)
    feldspar = smooth(0.0, 0.05, large.edge - 0.02) * (large.unit(0) < 0.42)
    matrix = grades(small.unit(0), minerals, (0.18, 0.36, 0.60, 0.82))
    crystal = grades(large.unit(1), minerals, (0.55, 0.8, 0.9, 0.999))
    fine = c.fbm("fine", 50, 4, 0.8)
    body = mix(matrix * (0.8 + 0.4 * small.unit(1)), crystal * (0.85 + 0.3 * large.unit(2)), feldspar)
    cloud = 1.0 + 0.18 * fine
    return c.develop(body * cloud)


def terrazzo(seed: int, shape: tuple[int, int]) -> Picture:
    """Stone chips ground flat in cement."""
    c = Canvas("terrazzo", seed, shape)
    chips = (
        ("8d8378", "c9beae", "5c5650", "a77f63", "d9d3c8"),
        ("6f7b80", "c4c9c9", "3f474b", "97a09f", "b0a48f"),
        ("a0584a", "d5c9b8", "6b6f6a", "b98f6a", "3d3a38"),
    )
    cements = (("b8b3a9", "c9c5bc"), ("d3cfc6", "e0ddd6"), ("75756f", "8b8b85"), ("3f4143", "525456"))
    colours = c.pick("chips", chips)
    count = c.uniform("count", 9, 15)
    large, small = c.cells("large", count, 0.35, count), c.cells("small", count * 2.6, 0.4, count * 2)
    fine = c.fbm("fine", 24, 6, 0.65)
    body = ramp(0.5 + 0.35 * fine + 0.2 * c.fbm("cloud", 2, 3), c.pick("cement", cements))
    for cells, share, soft in ((small, 0.65, 0.06), (large, 0.6, 0.025)):
        there = smooth(0.0, soft, cells.edge - 0.05 - 0.14 * cells.unit(3)) * (cells.unit(0) < share)
        tone = 0.82 + 0.36 * cells.unit(2) + 0.1 * fine
        body = mix(body, grades(cells.unit(1), colours, (0.2, 0.4, 0.6, 0.8)) * tone, there)
    return c.develop(body)


def concrete(seed: int, shape: tuple[int, int]) -> Picture:
    """Cast concrete: cloudy greys, sand, air holes, now and then a crack."""
    c = Canvas("concrete", seed, shape)
    greys = (("5f5d59", "8a8781", "aaa79f"), ("6d6f70", "949696", "b3b5b4"), ("756c60", "9a9183", "b8b0a2"))
    cloud, sand = c.fbm("cloud", 2, 9, 0.68), c.fbm("sand", 40, 5, 0.85)
    holes = c.cells("holes", c.uniform("holes", 9, 20), 0.12, 24)
    size = np.maximum(holes.unit(0) - 0.4, 0.0) * holes.unit(1)
    hole = smooth(0.04, -0.06, holes.near - 0.5 * size) * smooth(0.0, 0.06, size)
    crack = ridge(c.fbm("crack", 1.6, 8, 0.52), 0.006)
    crack *= smooth(0.0, 0.3, c.fbm("crack.where", 1.5, 2) + c.uniform("cracked", -0.6, 0.3))
    lit = c.light(0.0022 * sand + 0.003 * cloud - 0.014 * hole - 0.006 * crack, shadow=0.012, ambient=0.4)
    tone = 0.5 + 0.42 * cloud + 0.2 * sand
    return c.develop(ramp(tone, c.pick("grey", greys)) * (lit.diffuse * (1.0 - 0.4 * hole - 0.6 * crack)))


def gravel(seed: int, shape: tuple[int, int]) -> Picture:
    """Loose stones, large over small, in each other's shadow."""
    c = Canvas("gravel", seed, shape)
    mixes = (
        ("6d6863", "8c867e", "a79f94", "57534f", "b8ab9a"),
        ("7a7f84", "979ca0", "5c6166", "b0b3b4", "6f6a66"),
        ("94785c", "ad9272", "7a624b", "c2ad90", "8b837a"),
    )
    count = c.uniform("stones", 9, 14)
    rough = c.fbm("rough", 16, 6, 0.6)
    large, small = c.cells("large", count, 0.18, count), c.cells("small", count * 2.1, 0.2, count * 2)
    colours = c.pick("mix", mixes)
    high, low = _stones(large, 0.62) / count, _stones(small, 1.0) / (count * 2.1) - (0.25 / count)
    top = high > low
    height = np.maximum(np.where(top, high, low), (-0.5 / count)) + 0.0028 * rough
    lit = c.light(height * 0.9, shadow=0.5 / count, ambient=0.3, polish=3)
    stone = np.where(
        top, grades(large.unit(1), colours, (0.25, 0.5, 0.72, 0.9)), grades(small.unit(1), colours, (0.25, 0.5, 0.72, 0.9))
    )
    tone = np.where(top, large.unit(2), small.unit(2) * 0.8) * 0.5 + 0.75 + 0.16 * rough
    hollow = smooth(-0.4, 0.3, height * count) * 0.75 + 0.25
    return c.develop(stone * (tone * lit.diffuse * hollow))


def _stones(cells: Cells, share: float) -> Field:
    """Height, in cells, of worn stones that tilt their own way; far below where a cell has none."""
    dome = np.sqrt(np.clip(cells.edge * (5.2 - 6.5 * cells.edge), 0.0, 1.0))
    lean = (cells.unit(2) - 0.5) * cells.down + (cells.unit(3) - 0.5) * cells.right
    height = dome * 0.3 + lean * 0.5
    return np.where((cells.unit(0) < share) & (cells.edge > 0.03), height, -9.0)


def cracked_mud(seed: int, shape: tuple[int, int]) -> Picture:
    """Dried mud in curled plates, cracked twice."""
    c = Canvas("cracked_mud", seed, shape)
    muds = (("6b5847", "8f7a64", "a8937b"), ("7d746a", "9c9287", "b3aa9f"), ("7a5138", "9c6c4c", "b58766"))
    count = c.uniform("plates", 4, 7.5)
    plates, shards = c.cells("plates", count, 0.25, 9), c.cells("shards", count * 2.4, 0.3, 14)
    rough = c.fbm("rough", 5, 8, 0.6)
    gap = smooth(0.0, 0.035, plates.edge - 0.03 + 0.012 * rough)
    split = smooth(0.0, 0.05, shards.edge - 0.035 + 0.02 * rough)
    split = np.maximum(split, smooth(0.35, 0.6, shards.unit(0)))
    rim = smooth(0.3, 0.03, plates.edge) * 0.25
    height = (gap * (0.6 + rim) + split * gap * 0.22) * (0.12 / count) + rough * 0.004
    lit = c.light(height, shadow=0.08 / count, polish=2)
    tone = 0.45 + 0.3 * rough + 0.3 * (plates.unit(0) - 0.5) + rim
    dark = (0.22 + 0.78 * gap) * (0.45 + 0.55 * split)
    return c.develop(ramp(tone, c.pick("mud", muds)) * lit.diffuse * dark)


def foam(seed: int, shape: tuple[int, int]) -> Picture:
    """Cut foam or sponge: round pores of all sizes that open into each other."""
    c = Canvas("foam", seed, shape)
    dyes = (
        ("2a2213", "9a8143", "d6bd7c", "ecdcae"),
        ("1d1f21", "565b5e", "8f9495", "b9bcbc"),
        ("232a35", "56697f", "8ea3b8", "c0cedb"),
        ("2e2a26", "948b7f", "cfc7ba", "ebe6de"),
        ("101113", "2a2d30", "484c50", "6a6e73"),
        ("2a1611", "8a4f3a", "c07e5e", "dfae90"),
    )
    count = c.uniform("pores", 8, 15)
    fuzz = c.fbm("fuzz", 50, 4, 0.8)
    wide = _pores(c.cells("wide", count, 0.25, count), 0.62) / count
    fine = _pores(c.cells("fine", count * 2.3, 0.3, count * 2), 0.6) / (count * 2.3)
    depth = np.maximum(wide, fine)
    lit = c.light(0.0025 * fuzz - 1.1 * depth, shadow=0.3 / count, ambient=0.4, polish=2)
    tone = 0.85 - 1.35 * count * depth + 0.06 * fuzz
    return c.develop(ramp(tone, c.pick("dye", dyes)) * lit.diffuse)


def _pores(cells: Cells, largest: float) -> Field:
    """Depth, in cells, of round hollows, some missing."""
    radius = largest * smooth(0.1, 0.9, cells.unit(0))
    depth: Field = np.sqrt(np.maximum(radius * radius - cells.down * cells.down - cells.right * cells.right, 0.0))
    return depth
