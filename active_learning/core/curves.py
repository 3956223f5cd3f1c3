"""The learning curve as shapes: where each point, band and line of the chart goes.

Heights are pixels; places along the horizontal axis are shares of the plot, whose width the page decides. So the chart
is as wide as its card and its text keeps its size.
"""

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
class Ahead:
    """A point of the forecast with its band."""

    n_labels: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Baseline:
    name: str
    accuracy: float


# The lines are drawn in a box this wide that is stretched over the plot.
BOX = 1_000
# Names closer than this, in pixels, cannot be read.
NAME_HEIGHT = 16


@dataclass(frozen=True, slots=True)
class Frame:
    """The height of the drawing in pixels, with room above and below the plot for names and ticks."""

    height: int = 280
    top: int = 40
    bottom: int = 44

    @property
    def plot_bottom(self) -> int:
        return self.height - self.bottom


@dataclass(frozen=True, slots=True)
class Dot:
    """`x` in percent of the plot's width, the others in pixels from the top."""

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
    forecast: str = ""
    forecast_band: str = ""

    @property
    def box(self) -> str:
        """The `viewBox` of line and band."""
        return f"0 0 {BOX} {self.frame.height}"

    @property
    def last(self) -> CurvePoint:
        """The newest version: not the one with most labels when answers were withdrawn since."""
        return max((dot.point for dot in self.dots), key=lambda point: point.version)


def draw_curve(
    points: Sequence[CurvePoint],
    baselines: Sequence[Baseline],
    frame: Frame | None = None,
    ahead: Sequence[Ahead] = (),
) -> Chart | None:
    """The chart of a learning curve, with its forecast where there is one; None without points.

    The vertical axis is the accuracy from 0 to 1, so that no gain looks larger than it is; the horizontal one counts
    labels from 0.
    """
    if not points:
        return None
    frame = frame or Frame()
    ordered = sorted(points, key=lambda p: (p.n_labels, p.version))
    most = max(1, ordered[-1].n_labels, *(point.n_labels for point in ahead))
    step = nice_step(most)
    limit = -(-most // step) * step
    plot_height = frame.plot_bottom - frame.top

    def x(n_labels: float) -> float:
        return round(100 * n_labels / limit, 2)

    def y(share: float) -> float:
        return round(frame.top + plot_height * (1 - share), 1)

    def in_box(n_labels: float, share: float) -> str:
        return f"{BOX * n_labels / limit:.1f},{y(share)}"

    def band(along: Sequence[CurvePoint | Ahead]) -> str:
        edge = [in_box(p.n_labels, p.high) for p in along] + [in_box(p.n_labels, p.low) for p in reversed(along)]
        return " ".join(edge)

    return Chart(
        frame=frame,
        line=" ".join(in_box(p.n_labels, p.accuracy) for p in ordered),
        band=band(ordered),
        dots=tuple(Dot(x(p.n_labels), y(p.accuracy), y(p.low), y(p.high), p) for p in ordered),
        baselines=_labeled_lines(baselines, y),
        x_ticks=tuple(Tick(x(n), short_number(n)) for n in range(0, limit + 1, step)),
        y_ticks=tuple(Tick(y(share / 100), f"{share} %") for share in range(0, 101, 20)),
        forecast=" ".join(in_box(p.n_labels, p.accuracy) for p in ahead),
        forecast_band=band(ahead),
    )


def _labeled_lines(baselines: Sequence[Baseline], y: Callable[[float], float]) -> tuple[Line, ...]:
    # Names of lines that lie close together are moved apart so that each can be read.
    lines: list[Line] = []
    for baseline in sorted(baselines, key=lambda b: -b.accuracy):
        at = y(baseline.accuracy)
        text_at = max(at, lines[-1].text_y + NAME_HEIGHT) if lines else at
        lines.append(Line(at, text_at, f"{baseline.name} {round(100 * baseline.accuracy)} %"))
    return tuple(lines)


def short_number(n: int) -> str:
    """950 -> "950", 1500 -> "1.5k", 20000 -> "20k": what fits below an axis on a phone."""
    return str(n) if n < 1_000 else f"{n / 1_000:g}k"


def nice_step(most: int, n_ticks: int = 4) -> int:
    """A step of 1, 2 or 5 times a power of ten that cuts 0..most into about `n_ticks` parts."""
    rough = max(1.0, most / n_ticks)
    power = 1
    while power * 10 <= rough:
        power *= 10
    return next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
