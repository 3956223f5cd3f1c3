"""Reading the distribution that the demo is made of, from small made-up ones."""

import io
import tarfile

import pytest

from labeling.core.errors import Invalid
from labeling.core.vader import DOMAINS, read_distribution, sentiment


def tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def distribution(**domains: list[tuple[str, str, list[int]]]) -> bytes:
    """An archive of the same structure. Each text is (id, text, ratings)."""
    files = {}
    for domain, texts in domains.items():
        stem = DOMAINS[domain]
        means = [sum(ratings) / len(ratings) for _, _, ratings in texts]
        truth = "".join(f"{i}\t{mean:.9f}\t{text}\r\n" for (i, text, _), mean in zip(texts, means, strict=True))
        rated = "".join(
            f"{i}\t{mean:.9f}\t0.5\t{ratings}\r\n" for (i, _, ratings), mean in zip(texts, means, strict=True)
        )
        files[f"hutto_ICWSM_2014/{stem}_GroundTruth.txt"] = truth.encode("utf-8-sig")
        files[f"hutto_ICWSM_2014/{stem}_anonDataRatings.txt"] = rated.encode()
    return tar({"vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz": tar(files)})


def test_texts_are_joined_with_their_ratings() -> None:
    archive = distribution(tweets=[("1", "so &lt;3 good &amp; kind", [3, 4, 2]), ("2", "meh\u2028well", [0, -1, 0])])
    first, second = read_distribution(archive, ["tweets"])
    assert (first.external_id, first.text, first.ratings) == ("tweets-1", "so <3 good & kind", (3, 4, 2))
    assert second.text == "meh\u2028well"


def test_only_the_domains_asked_for_are_read() -> None:
    archive = distribution(tweets=[("1", "a", [1])], nyt=[("1_1", "b", [-1])])
    assert [text.external_id for text in read_distribution(archive, ["nyt"])] == ["nyt-1_1"]
    assert len(read_distribution(archive, ["tweets", "nyt"])) == 2


def test_ratings_of_another_wording_are_left_out() -> None:
    content = {
        "x/tweets_GroundTruth.txt": b"1\t1.44\tYay. Another good phone interview.\r\n2\t1\tfine\r\n",
        "x/tweets_anonDataRatings.txt": b"1\t2.26\t0.9\t[2, 3]\r\n2\t1.0\t0\t[1, 1]\r\n",
    }
    archive = tar({"p/additional_resources/hutto_ICWSM_2014.tar.gz": tar(content)})
    assert [text.ratings for text in read_distribution(archive, ["tweets"])] == [(), (1, 1)]


@pytest.mark.parametrize("archive", [b"", b"no archive", tar({"p/README": b"x"}), distribution(nyt=[("1", "b", [1])])])
def test_another_archive_is_refused(archive: bytes) -> None:
    with pytest.raises(Invalid, match="not the VADER distribution"):
        read_distribution(archive, ["tweets"])


def test_members_with_dangerous_names_are_not_unpacked(tmp_path: object) -> None:
    hostile = tar({"../../../../tmp/additional_resources/hutto_ICWSM_2014.tar.gz": b"not a tar"})
    with pytest.raises(Invalid):
        read_distribution(hostile, ["tweets"])


@pytest.mark.parametrize(("rating", "value"), [(-4, "negative"), (-1, "negative"), (0, "neutral"), (1, "positive")])
def test_ratings_become_sentiments(rating: int, value: str) -> None:
    assert sentiment(rating) == value
