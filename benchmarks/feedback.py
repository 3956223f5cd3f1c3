"""What feedback costs to take, how true the corrected error rate is, and what weak labels do to a model.

    python -m benchmarks.feedback --seconds 10 --runs 2000 [--demo] [FILE.csv ...]

Prints one JSON object a line:

- `coverage`: users with known habits complain about answers with a known error rate. How often the interval of the
  corrected rate holds the truth, and how far the raw share of complaints is off.
- `weak`: texts of FILE (columns `text,label`) or of the demo's domains; simulated users of a first model say what they
  think of its answers. Macro-F1 on untouched texts with and without the weak labels that come of it, before and after
  the gate, for informative, useless and hostile users, and for those who turn hostile once they are believed; how many
  human labels the informative ones are worth.
- `attack`: twenty verified accounts give 100 false corrections each, of one class.
- `intake`: events a second over HTTP on loopback in batches, against an empty view; what is in the database after the
  web process was killed (SIGKILL), and after everything was sent again.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.weak import WeakLabel, rows_of
from benchmarks.installation import Installation, data_folder, web_server, with_children
from benchmarks.text_sets import TextSet, features_of, prepared, text_sets
from feedback.core.evidence import Said, weak_label
from feedback.core.guard import burst, trust
from feedback.core.rates import corrected_rate
from feedback.core.reliability import Pairs, reliability_of

N_PREDICTIONS = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--demo", action="store_true", help="also the four domains of the demo")
    parser.add_argument("--runs", type=int, default=2_000, help="simulated campaigns of each scenario")
    parser.add_argument("--seeds", type=int, default=5, help="splits of each set of texts")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the intake (at most 60; 0: none)")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--batch", type=int, default=25)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    _coverage(options.runs)
    for name, texts, labels in text_sets(options.files, demo=options.demo):
        data = prepared(name, texts, labels, most=3_000, seed=0, features=features_of)
        for n_users in USERS_AN_ANSWER:
            _weak(data, options.seeds, n_users)
        _attack(data, options.seeds)
    if options.seconds > 0:
        with data_folder(options.database) as env:
            _intake(env, options)


# The corrected error rate

SCENARIOS = [
    # truth, P(complaint | wrong), P(complaint | right), predictions, judged
    (0.05, 0.40, 0.02, 5_000, 1_500),
    (0.10, 0.30, 0.01, 2_000, 1_000),
    (0.20, 0.40, 0.03, 1_000, 400),
    (0.22, 0.40, 0.02, 10_000, 800),
    (0.30, 0.15, 0.01, 3_000, 300),
    (0.40, 0.60, 0.10, 500, 200),
]


def _coverage(n_runs: int) -> None:
    rng = np.random.default_rng(0)
    for truth, hit, alarm, n, n_judged in SCENARIOS:
        held, undefined, widths, raw_off = 0, 0, [], []
        for _ in range(n_runs):
            n_wrong = int(rng.binomial(n_judged, truth))
            seen = int(rng.binomial(n, truth * hit + (1 - truth) * alarm))
            counted = Pairs(
                n_wrong,
                int(rng.binomial(n_wrong, hit)),
                n_judged - n_wrong,
                int(rng.binomial(n_judged - n_wrong, alarm)),
            )
            found = corrected_rate(seen, n, counted).share
            raw_off.append(abs(seen / n - truth) / truth)
            if found is None:
                undefined += 1
                continue
            held += found.low <= truth <= found.high
            widths.append(found.high - found.low)
        line = {
            "benchmark": "feedback.coverage",
            "truth": truth,
            "sensitivity": hit,
            "false_alarm": alarm,
            "predictions": n,
            "judged": n_judged,
            "coverage": round(held / max(len(widths), 1), 4),
            "width": round(statistics.mean(widths), 4) if widths else None,
            "raw_is_off_by": round(statistics.mean(raw_off), 3),
            "undefined": round(undefined / n_runs, 4),
            "runs": n_runs,
        }
        print(json.dumps(line), flush=True)


# Weak labels

GOLD_SIZES = (60, 80, 100, 125, 160, 200, 250, 320)
N_AUDIT = 400
N_JUDGED = 400
USERS_AN_ANSWER = (8, 3, 1)
# P(complains | wrong), P(complains | right), P(approves | wrong), P(approves | right), P(the correction is right).
INFORMATIVE = (0.6, 0.04, 0.03, 0.5, 0.85)
USELESS = (0.3, 0.3, 0.3, 0.3, 0.0)
HOSTILE = (0.05, 0.6, 0.5, 0.04, 0.0)
# How they behaved where people judged too, which earns them belief, and how they behave now.
USERS = {
    "informative": (INFORMATIVE, INFORMATIVE),
    "useless": (USELESS, USELESS),
    "hostile": (HOSTILE, HOSTILE),
    "turned hostile": (INFORMATIVE, HOSTILE),
}


def _weak(data: TextSet, n_seeds: int, n_users: int) -> None:
    curves: dict[str, list[list[float]]] = {
        name: [] for name in ("without", *USERS, *(f"{one} gated" for one in USERS))
    }
    kept = dict.fromkeys(USERS, 0)
    for seed in range(n_seeds):
        order = np.random.default_rng(seed).permutation(len(data.texts))
        exam, audit, rest = order[:800], order[800 : 800 + N_AUDIT], order[800 + N_AUDIT :]
        rows: dict[str, list[float]] = {name: [] for name in curves}
        for n_gold in GOLD_SIZES:
            gold, pool = rest[:n_gold], rest[n_gold:]
            people = _material(data, gold)
            base = _fit(people, seed)
            rows["without"].append(_f1(data, base, exam))
            for name, (before, now) in USERS.items():
                rng = np.random.default_rng((seed, n_gold))
                weak = _weak_labels(data, base, pool, audit, before, now, n_users, rng)
                both = _fit(_with(data, people, weak), seed)
                rows[name].append(_f1(data, both, exam))
                is_kept = _is_kept(data, both, base, audit, seed)
                kept[name] += is_kept
                rows[f"{name} gated"].append(_f1(data, both if is_kept else base, exam))
        for name, values in rows.items():
            curves[name].append(values)
    means = {name: np.mean(runs, axis=0) for name, runs in curves.items()}
    for name in USERS:
        for gate in ("", " gated"):
            found = means[name + gate]
            line = {
                "benchmark": "feedback.weak",
                "data": data.name,
                "users": name,
                "users_an_answer": n_users,
                "gated": bool(gate),
                "labels": GOLD_SIZES,
                "macro_f1_without": [round(float(one), 4) for one in means["without"]],
                "macro_f1_with": [round(float(one), 4) for one in found],
                "mean_change": round(float((found - means["without"]).mean()), 4),
                "kept": round(kept[name] / (n_seeds * len(GOLD_SIZES)), 2),
                "labels_saved": _saved(means["without"], found),
                "seeds": n_seeds,
            }
            print(json.dumps(line), flush=True)


def _weak_labels(
    data: TextSet,
    model: Any,
    pool: NDArray[Any],
    judged: NDArray[Any],
    before: Sequence[float],
    now: Sequence[float],
    n_users: int,
    rng: np.random.Generator,
) -> dict[int, WeakLabel]:
    """What the product makes of what users of the model say of its answers, by row. What their signals are worth is
    estimated where people judged too (`judged`), from how users behaved `before`."""
    truth = data.targets.y
    wrong = _predict(data, model, judged) != truth[judged]
    weights, corrections_right = _earned(int(wrong.sum()), int((~wrong).sum()), before, rng)
    answers = model.predict_proba(data.block.take(pool))
    labels = range(len(data.targets.labels))
    found = {}
    for row, p in zip(pool.tolist(), answers, strict=True):
        answered, true = int(p.argmax()), int(truth[row])
        on = 0 if answered != true else 1
        said = []
        for _ in range(n_users):
            user, draw = str(rng.integers(100_000)), rng.random()
            if draw < now[on]:
                is_right = answered != true and rng.random() < now[4]
                correction = true if is_right else int(rng.choice([one for one in labels if one != answered]))
                said.append(Said(user, "", ("thumbs_down", "correction"), correction))
            elif draw < now[on] + now[2 + on]:
                said.append(Said(user, "", ("thumbs_up",)))
        label = weak_label(
            answered,
            float(p.max()),
            said,
            weights=weights,
            trust=lambda _: trust(0, 0),
            corrections_right=corrections_right,
            other=1 - answered if len(labels) == 2 else None,
        )
        if label is not None:
            found[row] = label
    return found


def _earned(
    n_wrong: int, n_right: int, habits: Sequence[float], rng: np.random.Generator
) -> tuple[dict[str, float], float]:
    """The weights of the signals, and the share of corrections that are right, as they come out where people judged."""
    down = Pairs(n_wrong, int(rng.binomial(n_wrong, habits[0])), n_right, int(rng.binomial(n_right, habits[1])))
    up = Pairs(n_wrong, int(rng.binomial(n_wrong, habits[2])), n_right, int(rng.binomial(n_right, habits[3])))
    weight = reliability_of(down).weight(against=True)
    n_corrected = int(rng.binomial(down.on_wrong, habits[4]))
    weights = {"thumbs_down": weight, "correction": weight, "thumbs_up": reliability_of(up).weight(against=False)}
    return weights, (n_corrected + 1) / (down.on_wrong + 2)


def _attack(data: TextSet, n_seeds: int) -> None:
    """Twenty verified accounts, believed like any user, say that 100 answers of one class are of another."""
    changes, gated, weights, n_kept = [], [], [], 0
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(data.texts))
        exam, audit, rest = order[:800], order[800 : 800 + N_AUDIT], order[800 + N_AUDIT :]
        gold, pool = rest[:200], rest[200:]
        people = _material(data, gold)
        base = _fit(people, seed)
        wrong = _predict(data, base, audit) != data.targets.y[audit]
        earned, right = _earned(int(wrong.sum()), int((~wrong).sum()), INFORMATIVE, rng)
        said = _predict(data, base, pool)
        target = int(np.bincount(said).argmax())
        false = (target + 1) % len(data.targets.labels)
        mob = [Said(f"account {n}", "", ("thumbs_down", "correction"), false) for n in range(20)]
        labels = {}
        for row in pool[said == target][:100].tolist():
            sure = float(base.predict_proba(data.block.take(np.array([row]))).max())
            label = weak_label(
                target,
                sure,
                mob,
                weights=earned,
                trust=lambda _: trust(0, 0),
                corrections_right=right,
                other=false if len(data.targets.labels) == 2 else None,
            )
            if label is not None:
                labels[row] = label
        whole = _with(data, people, labels)
        both = _fit(whole, seed)
        change = _f1(data, both, exam) - _f1(data, base, exam)
        is_kept = _is_kept(data, both, base, audit, seed)
        weights.append(float(whole.weights[len(gold) :].sum() / whole.weights.sum()))
        changes.append(change)
        gated.append(change if is_kept else 0.0)
        n_kept += is_kept
    usual = np.random.default_rng(0).poisson(3, size=48).tolist()
    found = burst(usual, 2_000)
    line = {
        "benchmark": "feedback.attack",
        "data": data.name,
        "share_of_weight": round(statistics.mean(weights), 4),
        "macro_f1_change_before_gate": round(statistics.mean(changes), 4),
        "worst_before_gate": round(min(changes), 4),
        "macro_f1_change": round(statistics.mean(gated), 4),
        "blocked_by_gate": f"{n_seeds - n_kept} of {n_seeds}",
        "burst_z": None if found is None else round(found.z, 1),
    }
    print(json.dumps(line), flush=True)


def _material(data: TextSet, gold: NDArray[Any]) -> Any:
    from active_learning.core.material import Material

    return Material(data.block.take(gold), data.targets.take(gold), np.ones(len(gold)), data.scaling)


def _with(data: TextSet, people: Any, labels: dict[int, WeakLabel]) -> Any:
    """The material with the weak labels' rows at its end, as a training makes it."""
    from active_learning.core.blocks import stack_blocks
    from active_learning.core.material import Material
    from active_learning.core.targets import Targets

    of_class = dict(zip(map(str, range(len(data.targets.labels))), map(float, people.targets.counts()), strict=True))
    rows = rows_of(labels, of_class)
    if not len(rows):
        return people
    said = np.array(rows.values, dtype=np.int64)
    return Material(
        stack_blocks([people.block, data.block.take(np.array(rows.ids))]),
        Targets(people.targets.labels, np.concatenate([people.targets.y, said])),
        np.concatenate([people.weights, np.array(rows.weights)]),
        people.scaling,
        n_weak=len(rows),
    )


def _fit(material: Any, seed: int) -> Any:
    from active_learning.core.learners import calibrate
    from active_learning.core.linear import LinearLearner

    learner = LinearLearner()
    return calibrate(learner, learner.fit(material), material, np.random.default_rng(seed))


def _predict(data: TextSet, model: Any, rows: NDArray[Any]) -> NDArray[Any]:
    return model.predict_proba(data.block.take(rows)).argmax(axis=1)


def _f1(data: TextSet, model: Any, rows: NDArray[Any]) -> float:
    from active_learning.core.evaluation import evaluate

    found = evaluate(data.targets.y[rows], _predict(data, model, rows), data.targets.labels).macro_f1
    assert found is not None
    return found


def _is_kept(data: TextSet, both: Any, base: Any, audit: NDArray[Any], seed: int) -> bool:
    from active_learning.core.ablation import ablate

    said = (_predict(data, one, audit) for one in (both, base))
    return ablate(data.targets.y[audit], *said, len(data.targets.labels), np.random.default_rng(seed)).is_kept


def _saved(without: NDArray[Any], found: NDArray[Any]) -> float | None:
    """The share of human labels that are not needed for what the largest gold set alone reaches; None when it is not
    reached. Against the fewest that reach it alone: a curve may come there earlier."""
    goal = float(without[-1])
    alone, beside = ([n for n, value in zip(GOLD_SIZES, one, strict=True) if value >= goal] for one in (without, found))
    return round(1 - beside[0] / alone[0], 3) if beside else None


# Intake


def _intake(env: dict[str, str], options: argparse.Namespace) -> None:
    import django

    django.setup()
    key, tokens, secret = _fill()
    from django.db import connections

    connections.close_all()
    sent: list[list[dict[str, Any]]] = []
    with web_server(env) as server:
        empty = _send(
            server, [{"n": 1}] * 10**6, min(options.seconds, 5.0), options.clients, path="/empty/", bearer=secret
        )
        batches = [_batch(tokens, options.batch, seed) for seed in range(int(200 * min(options.seconds, 60.0)))]
        bodies = [{"key": key, "events": events} for events in batches]
        found = _send(server, bodies, min(options.seconds, 60.0), options.clients, path="/api/v1/events/")
        sent = [bodies[place]["events"] for place in found["accepted"]]
        # As hard as it gets: no chance to write anything more.
        for pid in with_children(server.web_pid):
            os.kill(pid, signal.SIGKILL)
    there = _stored()
    lost = sum(event["client_id"] not in there for events in sent for event in events)
    with web_server(env) as server:
        again = [{"key": key, "events": events} for events in sent]
        _send(server, again, 60.0, options.clients, path="/api/v1/events/")
    n_events = sum(map(len, sent))
    line = {
        "benchmark": "feedback.intake",
        "database": options.database,
        "clients": options.clients,
        "batch": options.batch,
        "events": n_events,
        "events_per_second": round(n_events / found["wall"]),
        "batch_p50_ms": round(1_000 * statistics.median(found["latencies"]), 1),
        "batch_p99_ms": round(1_000 * float(np.percentile(found["latencies"], 99)), 1),
        "cpu_ms_per_batch": round(found["cpu_ms"], 2),
        "empty_cpu_ms": round(empty["cpu_ms"], 2),
        "cpu_ratio_to_empty": round(found["cpu_ms"] / empty["cpu_ms"], 2),
        "events_per_cpu_second": round(1_000 * options.batch / found["cpu_ms"]),
        "errors": found["errors"],
        "lost_after_kill": lost,
        "counted_twice": len(_stored()) - len(there | {event["client_id"] for events in sent for event in events}),
    }
    print(json.dumps(line), flush=True)


def _fill() -> tuple[str, list[str], str]:
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from active_learning.core.ids import time_ordered_id
    from active_learning.models import Prediction
    from active_learning.services.tokens import feedback_token
    from feedback.services.keys import create_widget_key
    from labeling.services import projects

    owner = get_user_model().objects.create_user("owner")
    project = projects.create_project(
        owner=owner, name="Load", slug="load", kind="choice", config={"labels": ["no", "yes"]}
    )
    rows = Prediction.objects.bulk_create(
        Prediction(
            id=time_ordered_id(),
            project=project,
            value="yes",
            decision="auto",
            reason="sure",
            propensity=0.05,
            content_hash="0" * 32,
            latency_ms=1.0,
            created_at=timezone.now(),
        )
        for _ in range(N_PREDICTIONS)
    )
    key = create_widget_key(project=project, origins=[], actor=owner).key
    tokens = [feedback_token(prediction_id=row.pk, project_id=project.pk) for row in rows]
    return key, tokens, projects.create_api_key(user=owner, scopes=["manage"])[1]


def _batch(tokens: list[str], n: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    now = int(time.time() * 1_000)
    return [
        {"token": tokens[int(place)], "name": name, "at": now, "client_id": uuid.uuid4().hex}
        for place in rng.integers(len(tokens), size=n)
        for name in (str(rng.choice(["shown", "accepted", "copied", "undone"])),)
    ]


def _stored() -> set[str]:
    from django.db import connections

    from feedback.models import ImplicitEvent

    found = set(ImplicitEvent.objects.values_list("client_id", flat=True))
    connections.close_all()
    return found


def _send(
    server: Installation, bodies: Sequence[Any], seconds: float, n_clients: int, *, path: str, bearer: str = ""
) -> dict[str, Any]:
    """Sends the bodies, each once, from several clients until they are through or the time is."""
    latencies: list[float] = []
    accepted: list[int] = []
    errors: list[int] = []
    lock, place = threading.Lock(), iter(range(len(bodies)))
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    stop_at = time.monotonic() + seconds

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while time.monotonic() < stop_at:
            with lock:
                mine = next(place, None)
            if mine is None:
                return
            began = time.perf_counter()
            connection.request("POST", path, json.dumps(bodies[mine]), headers)
            response = connection.getresponse()
            response.read()
            latencies.append(time.perf_counter() - began)
            (accepted if response.status < 300 else errors).append(mine)

    cpu, began = server.web_cpu_seconds(), time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "latencies": latencies,
        "accepted": accepted,
        "errors": len(errors),
        "wall": time.monotonic() - began,
        "cpu_ms": 1_000 * (server.web_cpu_seconds() - cpu) / max(len(latencies), 1),
    }


if __name__ == "__main__":
    main()
