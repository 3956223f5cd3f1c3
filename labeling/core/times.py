"""A moment as other tools write it."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# Clocks differ a little.
_CLOCK_SKEW = timedelta(minutes=5)
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
# Epoch seconds beyond this would lie in the year 5138: they are milliseconds.
_FIRST_MILLISECONDS = 1e11
# Day and month are told apart by their marks; 05/01/2026 is left to its owner, because it has two readings.
_FORMS = ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y")
_COMPACT_DATE = re.compile(r"(19|20)\d{6}")
_ZONE_NAME = re.compile(r"\s*(UTC|GMT|Z)$", re.IGNORECASE)


def moment(given: str | float, now: datetime) -> datetime:
    """The moment that a cell names: ISO 8601, epoch seconds or milliseconds, a date of a mail, 31.12.2026 23:59.

    Without a time zone it is taken as UTC. Raises ValueError, in words, for what cannot be read, lies ahead of `now`
    or before 1990.
    """
    text = str(given).strip()
    try:
        found = _read(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"“{text[:40]}” is not a time that can be read. Write it as 2026-01-31T23:59:00Z or in epoch seconds."
        ) from None
    if found > now + _CLOCK_SKEW:
        raise ValueError(f"“{text[:40]}” lies in the future. A time without a zone is taken as UTC.")
    if found < _EARLIEST:
        raise ValueError(f"“{text[:40]}” is {found:%d %B %Y}, which is too long ago to be true.")
    return min(found, now)


def _read(text: str) -> datetime:
    if _COMPACT_DATE.fullmatch(text):
        return _aware(datetime.fromisoformat(text))
    try:
        seconds = float(text)
    except ValueError:
        return _aware(_read_words(text))
    if seconds >= _FIRST_MILLISECONDS:
        seconds /= 1000
    # Not fromtimestamp(): it refuses what lies before 1970 on some systems.
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _read_words(text: str) -> datetime:
    plain = _ZONE_NAME.sub("", text)
    try:
        return datetime.fromisoformat(plain)
    except ValueError:
        pass
    for form in _FORMS:
        try:
            return datetime.strptime(plain, form)
        except ValueError:
            pass
    return parsedate_to_datetime(text)


def _aware(found: datetime) -> datetime:
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
