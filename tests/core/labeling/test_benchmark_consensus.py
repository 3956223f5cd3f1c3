"""The folders that people bring to `python -m benchmarks.consensus`."""

import json

import numpy as np
import pytest

from benchmarks import consensus


def folder(path, **files):
    for name, text in files.items():
        (path / f"{name}.csv").write_text(text, encoding="utf-8")
    return path


def test_labels_are_texts_and_the_last_of_a_worker_counts(tmp_path):
    labels = "time,worker,item,label\n1,ann,x,yes\n2,ann,x,no\n3,ben,x,no\n4,ben,y,yes\n5,ann,y,\n"
    crowd = consensus.read(folder(tmp_path, labels=labels, gold="item,gold\nx,no\ny,maybe\nz,yes\n"))
    assert (len(crowd.answers), crowd.n_repeats, crowd.n_gold_without_labels) == (3, 1, 1)
    assert [crowd.answers.names[i] for i in crowd.gold] == ["no", "maybe"]
    assert consensus.vote_accuracy(crowd.answers, crowd.gold) == 0.5


def test_one_spelling_of_numbers(tmp_path):
    crowd = consensus.read(folder(tmp_path, labels="item,worker,label\nx,a,1\nx,b,2\n", gold="item,gold\nx,1.0\n"))
    assert crowd.answers.names == ("1", "2")
    assert crowd.gold.tolist() == [0]


def test_ties_count_as_fractions(tmp_path):
    labels = "item,worker,label\nx,a,1\nx,b,2\ny,a,1\ny,b,1\n"
    crowd = consensus.read(folder(tmp_path, labels=labels, gold="item,gold\nx,1\ny,1\n"))
    assert consensus.vote_accuracy(crowd.answers, crowd.gold) == 0.75


@pytest.mark.parametrize(
    "labels",
    [
        "item,worker,label\nx,a,yes\n",
        "item,worker,label\nx,a,yes\nx,b,yes\ny,a,yes\n",
        "item,worker,label\nx,a,yes\nx,b,no\ny,a,no\ny,b,yes\n",
        "item,worker,label\n" + "".join(f"{i},w,{i % 3}\n" for i in range(30)),
    ],
)
@pytest.mark.parametrize("gold", [None, "item,gold\nx,yes\n", "item,gold\nother,never\n"])
def test_small_folders_have_a_line(tmp_path, labels, gold):
    files = {"labels": labels, "texts": "item,text\nx,hello there\n"} | ({"gold": gold} if gold else {})
    line = consensus.judge(folder(tmp_path, **files))
    assert {"data", "vote_accuracy", "consensus_accuracy"} <= line.keys()
    assert "NaN" not in json.dumps(line)


def test_a_text_model_votes_where_it_knows(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 300)
    words = (["river", "stone"], ["lamp", "chair"])
    said = np.where(rng.random((300, 3)) < 0.75, truth[:, None], 1 - truth[:, None])
    labels = "item,worker,label\n" + "".join(f"{i},{j},{said[i, j]}\n" for i in range(300) for j in range(3))
    gold = "item,gold\n" + "".join(f"{i},{truth[i]}\n" for i in range(300))
    texts = "item,text\n" + "".join(f"{i},the {words[truth[i]][i % 2]} ||| a {i % 7}\n" for i in range(300))
    line = consensus.judge(folder(tmp_path, labels=labels, gold=gold, texts=texts))
    assert line["model_votes"]
    assert line["with_model_accuracy"] > line["consensus_accuracy"]
    assert line["one_label"]["consensus_accuracy"] >= line["one_label"]["vote_accuracy"] - 0.01
    assert [replay["target"] for replay in line["adaptive"]] == [0.8, 0.95]
    assert all(2 <= replay["labels_an_item"] <= 3 for replay in line["adaptive"])


@pytest.mark.parametrize(
    ("labels", "words"), [("item,worker\nx,a\n", "no column label"), ("item,worker,label\n", "no labels")]
)
def test_what_is_wrong_is_said(tmp_path, labels, words):
    with pytest.raises(ValueError, match=words):
        consensus.judge(folder(tmp_path, labels=labels))
