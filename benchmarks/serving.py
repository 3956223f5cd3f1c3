"""What a prediction costs, against an empty authenticated view of the same server and against the bare model.

    python -m benchmarks.serving --seconds 10 --projects 500

Texts of 50 English words, hashed words and word pairs joined with the sentence embedding, three labels. Prints one
JSON object a line:

- `single`: one input a request over HTTP to 127.0.0.1, every text new; then the same texts again, which are remembered.
- `parts`: where the time of one answer goes, measured inside one process.
- `batch`: 1,000 inputs through the service (checked, routed, logged, with reasons) against features and model alone.
- `memory`: models of many projects in one process, below SERVING_MEMORY_MB.
"""

import argparse
import http.client
import json
import os
import random
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.installation import Installation, data_folder, web_server

LABELS = ["billing", "delivery", "praise"]
N_WORDS = 50
Call = Callable[[http.client.HTTPConnection, dict[str, str]], int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each phase (at most 60)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--projects", type=int, default=500)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    options.seconds = min(options.seconds, 60.0)
    # As `serve` starts its processes; before the numeric libraries are loaded.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with data_folder(options.database) as env:
        import django

        django.setup()
        key = _fill()
        from django.db import connections

        connections.close_all()
        with web_server(env) as server:
            for n_clients in options.clients:
                _single(server, key, n_clients, options.seconds, {"database": options.database})
        _parts()
        _batch()
        _memory(options.projects)


def vocabulary() -> list[str]:
    """English words: those of this product's documents."""
    docs = Path(__file__).parents[1] / "docs"
    text = " ".join(path.read_text() for path in sorted(docs.glob("*.md")))
    return sorted(set(re.findall(r"\b[a-z]{3,12}\b", text)))


def texts(n: int, seed: int) -> Iterator[tuple[str, str]]:
    """Texts of N_WORDS words with their label, which decides from which part of the vocabulary most words are."""
    rng = random.Random(seed)
    words = vocabulary()
    for _ in range(n):
        label = rng.randrange(len(LABELS))
        own = words[label :: len(LABELS)]
        yield " ".join(rng.choice(own if rng.random() < 0.6 else words) for _ in range(N_WORDS)), LABELS[label]


def _fill() -> str:
    """A project with a live model that learned from 600 texts. Returns a key for it."""
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from active_learning.models import LearningPolicy, ModelVersion
    from active_learning.services import training
    from active_learning.services.triggers import request_training
    from labeling.models import Annotation, Item, LabelSchema
    from labeling.services import projects

    owner = get_user_model().objects.create_user("owner")
    project = projects.create_project(owner=owner, name="Load", slug="load", kind="choice", config={"labels": LABELS})
    LearningPolicy.objects.create(project=project, promotion="automatic")
    made = list(texts(800, seed=1))
    items = Item.objects.bulk_create(
        Item(
            project=project,
            content_hash=f"{place:032x}",
            data={"text": text},
            split="audit" if place % 4 == 0 else "pool",
        )
        for place, (text, _) in enumerate(made)
    )
    schema, now = LabelSchema.objects.current(project.pk), timezone.now()
    Annotation.objects.bulk_create(
        Annotation(project=project, item=item, rater="x", source="import", schema=schema, value=label, created_at=now)
        for item, (_, label) in zip(items, made, strict=True)
    )
    training.train(job_id=str(request_training(project=project, reason="benchmark").pk))
    assert ModelVersion.objects.get(project=project).state == "live"
    return projects.create_api_key(user=owner, scopes=["manage"])[1]


def _single(server: Installation, key: str, n_clients: int, seconds: float, common: dict[str, Any]) -> None:
    run = _Run(server, key, n_clients)
    fresh = _Texts(seed=100 + n_clients)
    run.measure(_empty, 1.0)
    # The first loads the libraries, the encoder and the model; those behind it teach the encoder its words.
    run.measure(fresh.predict, seconds)
    empty = run.measure(_empty, seconds)
    found = run.measure(fresh.predict, seconds)
    again = run.measure(fresh.predict_again, seconds)
    for name, one in (("new", found), ("remembered", again)):
        line = {
            "benchmark": "serving.single",
            "texts": name,
            "clients": n_clients,
            "p50_ms": _ms(one, 50),
            "p95_ms": _ms(one, 95),
            "p99_ms": _ms(one, 99),
            "predictions_per_second": round(len(one["latencies"]) / one["wall"], 1),
            "cpu_ms": round(one["cpu_ms"], 2),
            "empty_cpu_ms": round(empty["cpu_ms"], 2),
            "empty_p50_ms": _ms(empty, 50),
            "cpu_ratio_to_empty": round(one["cpu_ms"] / empty["cpu_ms"], 2),
            "p50_ratio_to_empty": round(_ms(one, 50) / _ms(empty, 50), 2),
            "errors": one["errors"] + empty["errors"],
        }
        print(json.dumps(line | common), flush=True)


class _Texts:
    """Requests with texts that were never sent before, and with those that were."""

    def __init__(self, seed: int) -> None:
        self._new = texts(10**9, seed)
        self._sent: list[str] = []
        self._lock = threading.Lock()

    def predict(self, http_: http.client.HTTPConnection, headers: dict[str, str]) -> int:
        with self._lock:
            text, _ = next(self._new)
            self._sent.append(text)
        return _post(http_, "/api/v1/projects/load/predict/", {"text": text}, headers)

    def predict_again(self, http_: http.client.HTTPConnection, headers: dict[str, str]) -> int:
        return _post(http_, "/api/v1/projects/load/predict/", {"text": random.choice(self._sent[-500:])}, headers)


def _empty(http_: http.client.HTTPConnection, headers: dict[str, str]) -> int:
    return _post(http_, "/empty/", {"n": 1}, headers)


def _post(http_: http.client.HTTPConnection, path: str, body: dict[str, Any], headers: dict[str, str]) -> int:
    http_.request("POST", path, json.dumps(body), headers)
    response = http_.getresponse()
    response.read()
    return response.status


class _Run:
    """Clients that call the server at once."""

    def __init__(self, server: Installation, key: str, n_clients: int) -> None:
        self.server = server
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.n_clients = n_clients

    def measure(self, call: Call, seconds: float) -> dict[str, Any]:
        latencies: list[float] = []
        errors: list[int] = []
        stop_at = time.monotonic() + seconds

        def work() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            while time.monotonic() < stop_at:
                began = time.perf_counter()
                status = call(connection, self.headers)
                latencies.append(time.perf_counter() - began)
                if status >= 300:
                    errors.append(status)

        cpu, began = self.server.web_cpu_seconds(), time.monotonic()
        threads = [threading.Thread(target=work) for _ in range(self.n_clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = self.server.web_cpu_seconds() - cpu
        return {
            "latencies": latencies,
            "errors": len(errors),
            "wall": time.monotonic() - began,
            "cpu_ms": 1_000 * used / max(len(latencies), 1),
        }


def _ms(run: dict[str, Any], percentile: int) -> float:
    return round(1_000 * statistics.quantiles(run["latencies"], n=100)[percentile - 1], 2)


def _served() -> Any:
    from active_learning import selectors
    from active_learning.services import serving
    from labeling.models import Project

    project = Project.objects.get(slug="load")
    live, _ = selectors.serving_state(project=project)
    assert live is not None
    return project, serving.served_model(live=live)


def _parts() -> None:
    """CPU milliseconds of each part of one answer, the median of 200 texts."""
    from active_learning.core.featurize import RawItem
    from active_learning.core.inputs import check_input
    from active_learning.services.prediction import predict

    project, model = _served()
    featurizer, spec = model.featurizer, model.featurizer.spec
    embedder, featurizer._embedder = featurizer._embedder, None
    nothing = _Silent(spec.embedding_dimension)
    spent: dict[str, list[float]] = {}

    def timed(name: str, act: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = act()
        spent.setdefault(name, []).append(time.process_time() - began)
        return result

    for text, _ in texts(210, seed=7):
        data = {"text": text}
        item = RawItem(data)
        timed("check", lambda: check_input(data, model.inputs))
        featurizer._embedder = nothing
        timed("words", lambda: featurizer.transform([item]))
        featurizer._embedder = embedder
        if embedder is not None:
            timed("embedding", lambda: embedder.encode([text]))
        block = featurizer.transform([item])
        p = timed("model", lambda: model.model.predict_proba(block))
        timed("reasons", lambda: model.reasons(item, block.dense[0], p[0]))
        timed("predict", lambda: predict(project=project, inputs=[{"text": text + " anew"}]))
    medians = {name: round(1_000 * statistics.median(times[10:]), 3) for name, times in spent.items()}
    rest = medians["predict"] - sum(ms for name, ms in medians.items() if name != "predict")
    line = {"benchmark": "serving.parts", "cpu_ms": medians | {"queries_routing_log": round(rest, 3)}}
    if "embedding" in medians:
        line["embedding_share"] = round(medians["embedding"] / medians["predict"], 2)
    print(json.dumps(line), flush=True)


class _Silent:
    """An encoder that costs nothing."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension

    def encode(self, texts: list[str]) -> Any:
        import numpy as np

        return np.zeros((len(texts), self._dimension), dtype=np.float32)


def _batch() -> None:
    from active_learning.core.featurize import RawItem
    from active_learning.services import prediction_log
    from active_learning.services.prediction import predict

    project, model = _served()
    bare, served = [], []
    for turn in range(3):
        rows = [{"text": text} for text, _ in texts(1_000, seed=50 + turn)]
        began = time.process_time()
        model.model.predict_proba(model.featurizer.transform([RawItem(row) for row in rows]))
        bare.append(time.process_time() - began)
        began = time.process_time()
        answered = predict(project=project, inputs=rows)
        served.append(time.process_time() - began)
        prediction_log.flush()
    decisions = [one.row.decision for one in answered.predictions]
    line = {
        "benchmark": "serving.batch",
        "rows": 1_000,
        "bare_cpu_seconds": round(statistics.median(bare), 3),
        "served_cpu_seconds": round(statistics.median(served), 3),
        "ratio_to_bare": round(statistics.median(served) / statistics.median(bare), 2),
        "given_to_people": sum(one.route.needs_person for one in answered.predictions),
        "decisions": {name: decisions.count(name) for name in ("auto", "monitor", "review")},
    }
    print(json.dumps(line), flush=True)


def _memory(n_projects: int) -> None:
    """Loads the models of so many projects one after the other, each with files of its own."""
    from dataclasses import replace

    from django.conf import settings

    from active_learning.core.artifacts import read_artifact, write_artifact
    from active_learning.services import files, loaded, serving

    _, model = _served()
    artifact = read_artifact(files.absolute(model.live.path), sha256=model.live.sha256, keys=files.signing_keys())
    before, began, seconds = _rss(), time.perf_counter(), []
    for number in range(n_projects):
        sha256, folder = write_artifact(
            files.models_folder(),
            about=artifact.about | {"project": number},
            arrays=artifact.arrays,
            documents=artifact.documents,
            key=files.signing_keys()[0],
        )
        began = time.perf_counter()
        serving.served_model(live=replace(model.live, sha256=sha256, path=files.relative(folder), number=number))
        seconds.append(time.perf_counter() - began)
    held = loaded.loaded_models()
    line = {
        "benchmark": "serving.memory",
        "projects": n_projects,
        "limit_mb": settings.SERVING_MEMORY_BYTES // 1_000_000,
        "model_mb": round(next(iter(held.values())) / 1e6, 2),
        "models_in_memory": len(held),
        "models_mb": round(sum(held.values()) / 1e6),
        "process_grew_mb": round((_rss() - before) / 1e6),
        "load_ms_p50": round(1_000 * statistics.median(seconds), 1),
    }
    print(json.dumps(line), flush=True)


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
