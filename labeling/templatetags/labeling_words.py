"""Numbers, times and durations as the pages write them."""

from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from labeling.core.wording import seconds_words
from labeling.models import Project
from labeling.selectors import n_open_reviews

register = template.Library()


@register.filter
def thousands(number: int) -> str:
    """4200 -> "4,200"."""
    return f"{number:,}"


@register.filter
def duration(seconds: float | None) -> str:
    """125.0 -> "2 min 5 s"; empty for None."""
    return seconds_words(seconds)


@register.filter
def moment(at: datetime | None) -> SafeString | str:
    """A time that the page keeps relative ("4 s ago"), exact on hover; readable without JavaScript too."""
    if at is None:
        return ""
    return format_html('<time datetime="{}" data-relative>{}</time>', at.isoformat(), f"{at:%Y-%m-%d %H:%M} UTC")


@register.filter
def percent(share: float) -> str:
    """0.421 -> "42 %"."""
    return f"{round(100 * share)} %"


@register.filter
def exact_percent(share: float) -> str:
    """0.025 -> "2.5 %"."""
    return f"{100 * share:.4g} %"


@register.filter
def points(difference: float) -> str:
    """A difference of two shares: 0.102 -> "+10.2 points"; a narrow space keeps them together."""
    return f"{100 * difference:+.1f}\u202fpoints".replace("-", "−")


@register.filter
def seconds_change(difference: float) -> str:
    """A difference of two times: -1.52 -> "−1.5 s"; a narrow space keeps them together."""
    return f"{difference:+.1f}\u202fs".replace("-", "−")


@register.filter
def signed(difference: float, digits: int | None = None) -> str:
    """A difference of two coefficients: 0.012 -> "+0.012", 0.00034 -> "+0.0003"; or with so many digits."""
    if digits is None:
        digits = 3 if abs(difference) >= 0.01 else 4
    return f"{difference:+.{digits}f}".replace("-", "−")


@register.simple_tag
def reviews_waiting(project: Project) -> int:
    """How many items of the project wait for a reviewer. One query."""
    return n_open_reviews(project=project)
