"""The learning curve as shapes: where each point, band and line of the chart goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One model version: how many labels it learned from and its audited accuracy with its interval."""

    version: int
    n_labels: int
    accuracy: float
    low: float
    high: float
    n_audited: int


@dataclass(frozen=True, slots=True)
class Baseline:
    name: str
    accuracy: float


@dataclass(frozen=True, slots=True)
class Frame:
    """The drawing area in user units, with room around the plot for labels."""

    width: int = 480
    height: int = 280
    left: int = 44
    right: int = 96
    top: int = 16
    bottom: int = 36


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    y_low: float
    y_high: float
    point: CurvePoint


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    y: float
    text_y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    frame: Frame
    line: str
    band: str
    dots: tuple[Dot, ...]
    baselines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]

    @property
    def plot_right(self) -> int:
        return self.frame.width - self.frame.right

    @property
    def last(self) -> CurvePoint:
        return self.dots[-1].point

    @property
    def plot_bottom(self) -> int:
        return self.frame.height - self.frame.bottom


def draw_curve(points: Sequence[CurvePoint], baselines: Sequence[Baseline], frame: Frame | None = None) -> Chart | None:
    """The chart of a learning curve; None without points.

    The vertical axis is the accuracy from 0 to 1, so that no gain looks larger than it is; the horizontal one counts
    labels from 0.
    """
    if not points:
        return None
    frame = frame or Frame()
    ordered = sorted(points, key=lambda p: (p.n_labels, p.version))
    most = max(1, ordered[-1].n_labels)
    step = nice_step(most)
    limit = -(-most // step) * step
    plot_width = frame.width - frame.left - frame.right
    plot_height = frame.height - frame.top - frame.bottom

    def x(n_labels: float) -> float:
        return round(frame.left + plot_width * n_labels / limit, 1)

    def y(share: float) -> float:
        return round(frame.top + plot_height * (1 - share), 1)

    dots = tuple(Dot(x(p.n_labels), y(p.accuracy), y(p.low), y(p.high), p) for p in ordered)
    edge = [(x(p.n_labels), y(p.high)) for p in ordered] + [(x(p.n_labels), y(p.low)) for p in reversed(ordered)]
    return Chart(
        frame=frame,
        line=" ".join(f"{dot.x},{dot.y}" for dot in dots),
        band=" ".join(f"{px},{py}" for px, py in edge),
        dots=dots,
        baselines=_labeled_lines(baselines, y),
        x_ticks=tuple(Tick(x(n), f"{n:,}") for n in range(0, limit + 1, step)),
        y_ticks=tuple(Tick(y(share / 100), f"{share} %") for share in range(0, 101, 20)),
    )


def _labeled_lines(baselines: Sequence[Baseline], y: Callable[[float], float]) -> tuple[Line, ...]:
    # Names of lines that lie close together are moved apart so that each can be read.
    lines: list[Line] = []
    for baseline in sorted(baselines, key=lambda b: -b.accuracy):
        at = y(baseline.accuracy)
        text_at = max(at, lines[-1].text_y + 14) if lines else at
        lines.append(Line(at, text_at, f"{baseline.name} {baseline.accuracy:.0%}"))
    return tuple(lines)


def nice_step(most: int, n_ticks: int = 5) -> int:
    """A step of 1, 2 or 5 times a power of ten that cuts 0..most into about `n_ticks` parts."""
    rough = max(1.0, most / n_ticks)
    power = 1
    while power * 10 <= rough:
        power *= 10
    return next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
