"""Units as SVG: columns of boxes, lines beside them, a joint. A light card, readable on light and dark pages."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from resjax.report.theme import FONT, LIGHT

PLAIN, RESIDUAL = LIGHT[:2]
TINTS = {PLAIN: "#fbe6d9", RESIDUAL: "#d9e9f4"}
INK, SOFT, FAINT, CARD, EDGE = "#1c1c1c", "#57606a", "#8c959f", "#ffffff", "#d0d7de"
BOX, NARROW = 128, 110  # widths of boxes: of a branch; of parallel paths, and beside a branch
WEIGHT, OP, JOINT, GAP = 36, 21, 26, 13  # heights
MARGIN, TOP, CURVE, LINE = 14, 78, 13, 14
LETTER = 5.6  # a small letter's width


@dataclass(frozen=True)
class Box:
    """A step: what it is, and in small print its numbers, which a weight layer has."""

    text: str
    detail: str = ""

    @property
    def height(self) -> int:
        """In pixels."""
        return WEIGHT if self.detail else OP


Boxes = tuple[Box, ...]


@dataclass(frozen=True)
class Sketch:
    """A unit as boxes, from above: trunk, fork, paths side by side, joint, after. beside: lines from fork to joint.

    The name of one is the shortcut's. joint: what joins there, "" where nothing does; note: what that leaves open.
    """

    arm: str
    heading: str
    enters: str
    leaves: str
    trunk: Boxes
    paths: tuple[Boxes, ...]
    beside: tuple[tuple[str, Boxes], ...] = ()
    joint: str = ""
    after: Boxes = ()
    note: str = ""

    @property
    def colour(self) -> str:
        """Of its weights and its shortcut."""
        return PLAIN if self.arm == "plain" else RESIDUAL

    @property
    def box(self) -> int:
        """Width of a box."""
        return BOX if len(self.paths) == 1 else NARROW

    @property
    def branch(self) -> int:
        """Width of all paths."""
        return len(self.paths) * (self.box + GAP) - GAP

    @property
    def width(self) -> int:
        """Of the column."""
        return self.branch + sum(lane(boxes) for _, boxes in self.beside) + 2 * MARGIN

    @property
    def joint_at(self) -> int:
        """Where the joint's top must be at the least, from the column's top."""
        bus = GAP if len(self.paths) > 1 else 0
        branch = max(map(tall, self.paths)) + bus
        beside = max((tall(boxes) + 2 * GAP for _, boxes in self.beside if boxes), default=0)
        return TOP + tall(self.trunk) + max(branch, beside) + GAP

    @property
    def notes(self) -> list[str]:
        """The note in lines."""
        return textwrap.wrap(self.note, int((self.width - GAP) / LETTER))


def lane(boxes: Boxes) -> int:
    """Width of a line beside the branch."""
    return NARROW + 12 if boxes else 36


def tall(boxes: Boxes) -> int:
    """Height of boxes one below the other, each with the arrow to it."""
    return sum(box.height + GAP for box in boxes)


@dataclass
class Pen:
    """Draws in one colour; `parts` are the SVG's elements."""

    colour: str = INK
    parts: list[str] = field(default_factory=list)

    def text(
        self, x: float, y: float, words: str, fill: str = INK, size: float = 11.5, bold: bool = False, up: bool = False
    ) -> None:
        """Words, if any, centred at x, on the line y; up: turned, to be read upwards."""
        if not words:
            return
        more = ' font-weight="600"' if bold else ""
        more += f' transform="rotate(-90 {x:g} {y:g})"' if up else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}"{more}>{escape(words)}</text>')

    def rect(self, x: float, y: float, width: float, height: float, fill: str, stroke: str, radius: float = 6) -> None:
        """A rounded box, its upper edge at y, its middle at x."""
        self.parts.append(
            f'<rect x="{x - width / 2:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="1.3"/>'
        )

    def path(self, d: str, stroke: str = INK, width: float = 1.4, tip: tuple[float, float, str] | None = None) -> None:
        """A line; tip: where it ends in an arrow that points `down` or `left`."""
        self.parts.append(f'<path d="{d}" fill="none" stroke="{stroke}" stroke-width="{width:g}"/>')
        if tip:
            x, y, way = tip
            head = f"M{x:g} {y:g}l-3.6 -6.5h7.2z" if way == "down" else f"M{x:g} {y:g}l7.5 -4.2v8.4z"
            self.parts.append(f'<path d="{head}" fill="{stroke}"/>')

    def down(self, x: float, start: float, end: float, stroke: str = INK, width: float = 1.4) -> None:
        """An arrow."""
        self.path(f"M{x:g} {start:g}V{end - 4:g}", stroke, width, (x, end, "down"))

    def stack(self, boxes: Boxes, x: float, start: float, top: float, width: float) -> float:
        """Boxes one below the other, each with the arrow to it, the first from `start`; return where the last ends."""
        for box in boxes:
            top += GAP
            self.down(x, start, top)
            self.box(box, x, top, width)
            start = top = top + box.height
        return start

    def box(self, box: Box, x: float, y: float, width: float) -> None:
        """One."""
        fill, stroke = (TINTS[self.colour], self.colour) if box.detail else ("#f3f4f6", FAINT)
        self.rect(x, y, width, box.height, fill, stroke)
        self.text(x, y + (15.5 if box.detail else 14.5), box.text, INK, 11.5, bold=bool(box.detail))
        if box.detail:
            self.text(x, y + 28.5, box.detail, SOFT, 10)


def card(title: str, sketches: Sequence[Sketch]) -> str:
    """A title, and the sketches side by side with their joints on one line."""
    joint = max(sketch.joint_at for sketch in sketches)
    bottom = joint + JOINT + max(tall(sketch.after) for sketch in sketches) + GAP + 20
    height = bottom + LINE * max(len(sketch.notes) for sketch in sketches) + MARGIN - 4
    columns = sum(sketch.width for sketch in sketches)
    width = max(columns + MARGIN, int(7.4 * len(title)) + 2 * MARGIN)
    parts, left = list[str](), (width - columns) / 2
    for sketch in sketches:
        parts += column(sketch, left, joint, bottom)
        left += sketch.width
    pen = Pen()
    pen.text(width / 2, 25, title, INK, 13.5, bold=True)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" font-family="{escape(FONT)}" text-anchor="middle">',
            f"<title>{escape(title)}</title>",
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10" fill="{CARD}" stroke="{EDGE}"/>',
            *pen.parts,
            *parts,
            "</svg>\n",
        ]
    )


def column(sketch: Sketch, left: float, joint: float, bottom: float) -> list[str]:
    """One sketch."""
    pen, x, several = Pen(sketch.colour), left + MARGIN + sketch.branch / 2, len(sketch.paths) > 1
    pen.text(x, 47, sketch.heading, sketch.colour, 12.5, bold=True)
    pen.text(x, TOP - 6, sketch.enters, SOFT, 10.5)
    fork = pen.stack(sketch.trunk, x, TOP, TOP, sketch.box)
    starts = [left + MARGIN + sketch.box / 2 + number * (sketch.box + GAP) for number in range(len(sketch.paths))]
    beside(pen, sketch, x, fork, joint)
    top = fork + GAP if several else fork
    if several:
        pen.path(f"M{x:g} {fork:g}V{top:g}M{starts[0]:g} {top:g}H{starts[-1]:g}")
    ends = [pen.stack(path, start, top, top, sketch.box) for start, path in zip(starts, sketch.paths, strict=True)]
    leaving = ends[0]
    if sketch.joint:
        half = sketch.branch / 2 if several else joint_width(sketch) / 2
        for start, end in zip(starts, ends, strict=True):
            pen.down(start, end, joint)
        pen.rect(x, joint, 2 * half, JOINT, sketch.colour, sketch.colour, JOINT / 2)
        pen.text(x, joint + 17, sketch.joint, CARD, 11.5, bold=True)
        leaving = joint + JOINT
    leaving = pen.stack(sketch.after, x, leaving, joint + JOINT, sketch.box)
    pen.down(x, leaving, bottom - 20)
    pen.text(x, bottom - 7, sketch.leaves, SOFT, 10.5)
    for row, line in enumerate(sketch.notes):
        pen.text(left + sketch.width / 2, bottom + LINE * row + 9, line, SOFT, 10)
    return pen.parts


def joint_width(sketch: Sketch) -> float:
    """Of the joint."""
    return max(6.6 * len(sketch.joint) + 22, 56)


def beside(pen: Pen, sketch: Sketch, x: float, fork: float, joint: float) -> None:
    """The lines from fork to joint. The first is named after the shortcut."""
    edge, end = x + sketch.branch / 2, x + joint_width(sketch) / 2
    start = fork + 4 if sketch.trunk else fork - 1
    for number, (name, boxes) in enumerate(sketch.beside):
        wide = lane(boxes)
        at = edge + (wide / 2 + 6 if boxes else 22)
        arrives = joint + JOINT / 2 + (5 if number else -5 if len(sketch.beside) > 1 else 0)
        there = f"M{x:g} {start:g}H{at - CURVE:g}q{CURVE} 0 {CURVE} {CURVE}"
        back = f"V{arrives - CURVE:g}q0 {CURVE} -{CURVE} {CURVE}H{end + 6:g}"
        pen.path(there + back, sketch.colour, 2.2, (end, arrives, "left"))
        top = (start + arrives - tall(boxes) + GAP) / 2
        for box in boxes:
            pen.box(box, at, top, NARROW)
            top += box.height + GAP
        middle = ((top - GAP if boxes else start) + arrives) / 2
        pen.text(at + 14, middle, name, sketch.colour, 11, bold=True, up=True)
        edge += wide
