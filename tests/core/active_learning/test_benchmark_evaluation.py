import csv
import json

import numpy as np
import pytest

from benchmarks import evaluation
from tests.core.active_learning.synthetic import topic_texts


def test_it_prints_a_line_for_each_measure(tmp_path, monkeypatch, capsys):
    texts, topics = topic_texts(500, np.random.default_rng(0))
    path = tmp_path / "topics" / "data.csv"
    path.parent.mkdir()
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        rows.writerows(
            (f"{text} {place}", topic) for place, (text, topic) in enumerate(zip(texts, topics, strict=True))
        )
    monkeypatch.setattr("sys.argv", ["evaluation", str(path), "--campaigns", "2", "--labels", "40", "--audit", "50"])
    evaluation.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["what"], line["data"]) for line in lines] == [
        ("coverage", "topics"), ("calibration", "topics"), ("calibration", "topics"), ("coverage", "all")
    ]  # fmt: skip
    assert 0.8 <= lines[0]["covered_of_many"] <= 1
    assert [line["picked"] for line in lines[1:3]] == ["recommended", "random"]
    assert lines[1]["after"]["ece"] >= 0


def test_a_file_without_the_columns_is_named(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    monkeypatch.setattr("sys.argv", ["evaluation", str(path)])
    with pytest.raises(SystemExit, match="columns text and label"):
        evaluation.main()
