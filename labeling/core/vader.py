"""Reading the VADER data set (Hutto & Gilbert 2014): short texts with many people's ratings from -4 to 4.

The ratings of a text are an anonymous list. Within a text they are of different people; across texts nothing says
that the same place in the list is the same person, so nothing here names a rater.
"""

import html
import io
import json
import math
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from labeling.core.errors import Invalid

# The domains in the order in which they are offered, with the stem of their two files.
DOMAINS = {
    "tweets": "tweets",
    "amazon": "amazonReviewSnippets",
    "movies": "movieReviewSnippets",
    "nyt": "nytEditorialSnippets",
}
_INNER_ARCHIVE = "additional_resources/hutto_ICWSM_2014.tar.gz"
_MAX_MEMBER_SIZE = 20_000_000
# The means in the two files are rounded to 5 digits or more.
_SAME_MEAN = 0.001


@dataclass(frozen=True, slots=True)
class RatedText:
    """A text and what people said about it. Without ratings where the two files speak of different texts."""

    domain: str
    id: str
    text: str
    ratings: tuple[int, ...]

    @property
    def external_id(self) -> str:
        """Unique over all domains: the source counts each of them from 1."""
        return f"{self.domain}-{self.id}"


def sentiment(rating: int) -> str:
    """A rating from -4 to 4 as negative, neutral (0) or positive."""
    if rating == 0:
        return "neutral"
    return "negative" if rating < 0 else "positive"


def read_distribution(archive: bytes, domains: list[str]) -> list[RatedText]:
    """The rated texts of some domains from the source distribution of vaderSentiment.

    Members are read in memory and never unpacked to disk. Raises Invalid when the archive is not the expected one.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as outer:
            inner = _member(outer, _INNER_ARCHIVE)
        with tarfile.open(fileobj=io.BytesIO(inner), mode="r:gz") as tar:
            return [text for domain in domains for text in _read_domain(tar, domain)]
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise Invalid(f"The archive is not the VADER distribution that was expected ({error}).") from error


def _read_domain(tar: tarfile.TarFile, domain: str) -> Iterator[RatedText]:
    stem = DOMAINS[domain]
    rated: dict[str, tuple[float, tuple[int, ...]]] = {}
    for line in _lines(_member(tar, f"{stem}_anonDataRatings.txt")):
        text_id, mean_text, _, listed = line.split("\t")
        rated[text_id] = (float(mean_text), tuple(int(rating) for rating in json.loads(listed)))
    for line in _lines(_member(tar, f"{stem}_GroundTruth.txt")):
        text_id, mean_text, text = line.split("\t", 2)
        rated_mean, ratings = rated.get(text_id, (math.nan, ()))
        # Of 199 tweets the files give different means: their ratings were collected on another wording.
        is_same = abs(rated_mean - float(mean_text)) <= _SAME_MEAN
        # Some texts were escaped twice.
        yield RatedText(domain, text_id, html.unescape(html.unescape(text)).strip(), ratings if is_same else ())


def _member(tar: tarfile.TarFile, ending: str) -> bytes:
    for member in tar:
        if member.isfile() and member.name.endswith(ending):
            if member.size > _MAX_MEMBER_SIZE:
                raise ValueError(f"{ending} is too large")
            file = tar.extractfile(member)
            if file is not None:
                return file.read()
    raise ValueError(f"{ending} is missing")


def _lines(content: bytes) -> Iterator[str]:
    # Not splitlines(): some texts hold other characters that it would take for line ends.
    return (line for line in content.decode("utf-8-sig").split("\r\n") if line)
