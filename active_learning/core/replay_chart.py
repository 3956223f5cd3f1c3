"""The curves of replayed campaigns as shapes, in the frame of the learning curve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from active_learning.core.curves import BOX, NAME_HEIGHT, Frame, Tick, nice_step, short_number


@dataclass(frozen=True, slots=True)
class Series:
    """One strategy's line and band. `colour` is 1 to 8; `name_y` is where its name can be read."""

    strategy: str
    colour: int
    line: str
    band: str
    name_y: float


@dataclass(frozen=True, slots=True)
class ReplayChart:
    frame: Frame
    series: tuple[Series, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]

    @property
    def box(self) -> str:
        """The `viewBox` of lines and bands."""
        return f"0 0 {BOX} {self.frame.height}"


def draw_replay(result: Mapping[str, Any], frame: Frame | None = None) -> ReplayChart:
    """Mean macro-F1 by number of labels, a line a strategy, with the seeds' bands where there are several."""
    frame = frame or Frame()
    sizes: Sequence[int] = result["sizes"]
    step = nice_step(sizes[-1])
    limit = -(-sizes[-1] // step) * step
    plot_height = frame.plot_bottom - frame.top

    def y(share: float) -> float:
        return round(frame.top + plot_height * (1 - min(max(share, 0.0), 1.0)), 1)

    def points(shares: Sequence[float]) -> list[str]:
        return [f"{BOX * n / limit:.1f},{y(share)}" for n, share in zip(sizes, shares, strict=True)]

    rows = sorted(result["strategies"], key=lambda row: -row["macro_f1"][-1][0])
    series: list[Series] = []
    for row in rows:
        means, lows, highs = zip(*row["macro_f1"], strict=True)
        band = [] if lows[0] is None else points(highs) + points(lows)[::-1]
        wanted = y(means[-1])
        name_y = max(wanted, series[-1].name_y + NAME_HEIGHT) if series else wanted
        # Colours by place in the stored result, so that a strategy keeps its colour in the table.
        colour = result["strategies"].index(row) % 8 + 1
        series.append(Series(row["strategy"], colour, " ".join(points(means)), " ".join(band), name_y))
    return ReplayChart(
        frame=frame,
        series=tuple(series),
        x_ticks=tuple(Tick(round(100 * n / limit, 2), short_number(n)) for n in range(0, limit + 1, step)),
        y_ticks=tuple(Tick(y(share / 100), f"{share} %") for share in range(0, 101, 20)),
    )
