"""What `next` and `submit` cost with 16 people at once, against an empty authenticated view of the same server.

    python -m benchmarks.queue --items 10000 100000 1000000 --database sqlite postgresql

People are threads that speak HTTP to 127.0.0.1. Prints, for each database and size: server CPU a call, its ratio to
the empty view, answers a second, and what must be zero: items above their overlap, lost answers, errors. The last
line of each size repeats the cycle with one person who has labeled 50,000 items already.
"""

import argparse
import http.client
import json
import os
import random
import statistics
import threading
import time
import uuid
from typing import Any

from benchmarks.installation import Installation, data_folder, made_up_text, web_server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000])
    parser.add_argument("--database", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite"])
    parser.add_argument("--annotators", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each phase (at most 60)")
    parser.add_argument("--overlap", type=int, default=1)
    parser.add_argument("--labeled", type=int, default=50_000, help="answers the busy person has given before")
    options = parser.parse_args()
    options.seconds = min(options.seconds, 60.0)
    for database in options.database:
        for n_items in options.items:
            # Settings are read once a process: each measurement gets its own.
            pid = os.fork()
            if pid == 0:
                measure(database, n_items, options)
                os._exit(0)
            os.waitpid(pid, 0)


def measure(database: str, n_items: int, options: argparse.Namespace) -> None:
    with data_folder(database) as env:
        import django

        django.setup()
        keys, busy_key = _fill(n_items, options)
        from django.db import connections

        connections.close_all()
        with web_server(env) as server:
            common = {"benchmark": "queue", "database": database, "items": n_items, "annotators": options.annotators}
            _run(server, keys, min(2.0, options.seconds), _empty_call)  # warm
            empty = _run(server, keys, options.seconds, _empty_call)
            cycles = _run(server, keys, options.seconds, _cycle)
            _print(common, empty, cycles, _verdict(cycles))
            if busy_key:
                alone = _run(server, [busy_key], options.seconds, _empty_call)
                busy = _run(server, [busy_key], options.seconds, _cycle)
                common |= {"annotators": 1, "person_has_labeled": min(options.labeled, n_items // 2)}
                _print(common, alone, busy, _verdict(cycles, busy))


def _print(common: dict[str, Any], empty: dict[str, Any], cycles: dict[str, Any], verdict: dict[str, int]) -> None:
    per_call = cycles["cpu"] / max(cycles["calls"], 1)
    empty_call = empty["cpu"] / max(empty["calls"], 1)
    line = common | {
        "empty_cpu_ms": round(1000 * empty_call, 3),
        "call_cpu_ms": round(1000 * per_call, 3),
        "ratio_to_empty": round(per_call / empty_call, 2),
        "answers_per_second": round(cycles["answers"] / cycles["wall"], 1),
        "p50_ms": round(1000 * statistics.median(cycles["latencies"]), 1),
        "p95_ms": round(1000 * statistics.quantiles(cycles["latencies"], n=20)[-1], 1),
        "errors": cycles["errors"] + empty["errors"],
    }
    print(json.dumps(line | verdict), flush=True)


def _fill(n_items: int, options: argparse.Namespace) -> tuple[list[str], str | None]:
    """Items, people and the history of the busy person, written in bulk. Returns the people's keys."""
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from labeling.models import Annotation, Assignment, Item, LabelSchema, Membership
    from labeling.services import projects, queue

    users = get_user_model().objects
    owner = users.create_user("owner")
    project = projects.create_project(
        owner=owner,
        name="Load",
        slug="load",
        kind="choice",
        config={"labels": ["a", "b", "c"]},
        overlap=options.overlap,
    )
    rng = random.Random(0)
    for start in range(0, n_items, 5_000):
        Item.objects.bulk_create(
            [
                Item(
                    project=project,
                    content_hash=f"{place:032x}",
                    data={"text": made_up_text(rng)},
                    split="audit" if place % 20 == 0 else "pool",
                )
                for place in range(start, min(start + 5_000, n_items))
            ]
        )
    people = [users.create_user(f"person{place}") for place in range(options.annotators)]
    busy = users.create_user("busy")
    Membership.objects.bulk_create(Membership(project=project, user=user) for user in [*people, busy])
    keys = [projects.create_api_key(user=user, scopes=["annotate"])[1] for user in [*people, busy]]
    n_labeled = min(options.labeled, n_items // 2)
    schema, now = LabelSchema.objects.current(project.pk), timezone.now()
    labeled = list(Item.objects.filter(project=project).order_by("-id").values_list("id", flat=True)[:n_labeled])
    for start in range(0, n_labeled, 5_000):
        ids = labeled[start : start + 5_000]
        rows = Assignment.objects.bulk_create(
            Assignment(
                project=project,
                item_id=pk,
                user=busy,
                state="submitted",
                leased_at=now,
                expires_at=now,
                reason="random",
            )
            for pk in ids
        )
        Annotation.objects.bulk_create(
            Annotation(
                project=project,
                item_id=row.item_id,
                user=busy,
                schema=schema,
                assignment=row,
                value="a",
                client_id=f"history-{row.pk}",
                created_at=now,
                seconds=2.0,
            )
            for row in rows
        )
        Item.objects.filter(pk__in=ids).update(state="resolved")
    front = Item.objects.filter(project=project, state="open").order_by("id").values_list("id", flat=True)[:2_000]
    entries = [queue.QueueCandidate(pk, "acquisition", {"p": [["a", 0.4], ["b", 0.35]]}) for pk in front]
    queue.replace_queue(project=project, entries=entries, batch=1, ordered_by="benchmark")
    return keys[:-1], keys[-1] if n_labeled else None


class _Person:
    """One annotator's connection: calls the server and writes down what came back."""

    def __init__(self, port: int, key: str) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.latencies: list[float] = []
        self.answers: list[int] = []
        self.errors: list[str] = []

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        start = time.perf_counter()
        self.http.request("POST", path, json.dumps(body), self.headers)
        response = self.http.getresponse()
        content = response.read()
        self.latencies.append(time.perf_counter() - start)
        if response.status >= 300:
            self.errors.append(f"{response.status} {content[:200]!r}")
            return {}
        return json.loads(content)


def _empty_call(person: _Person) -> None:
    person.post("/empty/", {"n": 1})


def _cycle(person: _Person) -> None:
    leased = person.post("/api/v1/projects/load/next/", {"n": 1}).get("assignments", [])
    for assignment in leased:
        answer = {"value": random.choice("abc"), "client_id": uuid.uuid4().hex, "seconds": 1.5}
        done = person.post(f"/api/v1/assignments/{assignment['id']}/submit/", answer)
        if done:
            person.answers.append(done["annotation"]["id"])


def _run(server: Installation, keys: list[str], seconds: float, act: Any) -> dict[str, Any]:
    people = [_Person(server.port, key) for key in keys]
    stop_at = time.monotonic() + seconds

    def work(person: _Person) -> None:
        while time.monotonic() < stop_at:
            act(person)

    threads = [threading.Thread(target=work, args=(person,)) for person in people]
    cpu, start = server.web_cpu_seconds(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    latencies = [latency for person in people for latency in person.latencies]
    errors = [error for person in people for error in person.errors]
    for error in errors[:3]:
        print(json.dumps({"error": error}), flush=True)
    answers = [answer for person in people for answer in person.answers]
    return {
        "cpu": server.web_cpu_seconds() - cpu,
        "wall": time.monotonic() - start,
        "calls": len(latencies),
        "latencies": latencies,
        "answers": len(answers),
        "answer_ids": answers,
        "errors": len(errors),
    }


def _verdict(*runs: dict[str, Any]) -> dict[str, int]:
    """What must be zero: items with more answers than their overlap, acknowledged answers that are not there."""
    from django.db import connections
    from django.db.models import Count

    from labeling.models import Annotation, Project

    overlap = Project.objects.get(slug="load").overlap
    above = Annotation.objects.live().values("item_id").order_by().annotate(n=Count("id")).filter(n__gt=overlap).count()
    acknowledged = {answer for run in runs for answer in run["answer_ids"]}
    stored = set(Annotation.objects.live().exclude(client_id__startswith="history-").values_list("pk", flat=True))
    connections.close_all()
    return {"items_above_overlap": above, "lost_answers": len(acknowledged - stored)}


if __name__ == "__main__":
    main()
