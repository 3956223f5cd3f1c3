"""Rows a second and peak memory of import and export, streamed: memory must not grow with the file.

    python -m benchmarks.intake --rows 20000 200000 --database sqlite postgresql

Each measurement runs in a process of its own, so that its peak memory is its own. Annotations are written in bulk
before they are exported; that part is not timed.
"""

import argparse
import json
import os
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.installation import data_folder, made_up_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--database", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite"])
    parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl")
    options = parser.parse_args()
    for database in options.database:
        for n_rows in options.rows:
            _in_a_child(measure, database, n_rows, options.format)


def measure(database: str, n_rows: int, file_format: str) -> None:
    with data_folder(database), tempfile.TemporaryDirectory() as folder:
        import django

        django.setup()
        path = Path(folder) / f"rows.{file_format}"
        _write_file(path, n_rows, file_format)
        common = {
            "database": database,
            "rows": n_rows,
            "format": file_format,
            "file_mb": round(path.stat().st_size / 2**20, 1),
        }
        _in_a_child(_import, path, common)
        _annotate_all()
        for kind in ("jsonl", "csv", "parquet"):
            _in_a_child(_export, kind, common)


def _import(path: Path, common: dict[str, Any]) -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from labeling.models import Item
    from labeling.services import projects

    owner = get_user_model().objects.create_user("owner")
    projects.create_project(owner=owner, name="Rows", slug="rows", kind="choice", config={"labels": ["a", "b"]})
    _work("import", common, lambda: call_command("import_items", "rows", str(path), verbosity=0, stdout=_null()))
    assert Item.objects.count() == common["rows"], Item.objects.count()


def _export(file_format: str, common: dict[str, Any]) -> None:
    from labeling.models import Project
    from labeling.services.export import stream_labels

    project = Project.objects.get(slug="rows")
    _work(
        "export",
        common | {"format": file_format},
        lambda: [None for _ in stream_labels(project=project, kind="annotations", format=file_format)],
    )


def _work(name: str, common: dict[str, Any], act: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, start = time.process_time(), time.perf_counter()
    act()
    wall = time.perf_counter() - start
    line = {"benchmark": name} | common
    line |= {"rows_per_second": round(common["rows"] / wall), "cpu_seconds": round(time.process_time() - cpu, 2)}
    line |= {"memory_growth_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1)}
    print(json.dumps(line), flush=True)


def _annotate_all() -> None:
    from django.db import connections
    from django.utils import timezone

    from labeling.models import Annotation, Item, LabelSchema, Project

    project = Project.objects.get(slug="rows")
    schema, now = LabelSchema.objects.current(project.pk), timezone.now()
    ids = list(Item.objects.filter(project=project).values_list("pk", flat=True))
    for start in range(0, len(ids), 5_000):
        Annotation.objects.bulk_create(
            Annotation(
                project=project, item_id=pk, schema=schema, value="a", source="import", rater="w1", created_at=now
            )
            for pk in ids[start : start + 5_000]
        )
    connections.close_all()


def _write_file(path: Path, n_rows: int, file_format: str) -> None:
    rng = random.Random(0)
    with path.open("w") as file:
        if file_format == "csv":
            file.write("id,text,lang\n")
        for place in range(n_rows):
            text = made_up_text(rng) + f" {place}"
            if file_format == "csv":
                file.write(f"r{place},{text},en\n")
            else:
                file.write(json.dumps({"id": f"r{place}", "text": text, "lang": "en"}) + "\n")


def _null() -> Any:
    return open(os.devnull, "w")


def _in_a_child(act: Any, *arguments: Any) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            act(*arguments)
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1] != 0:
        raise SystemExit(f"{act.__name__} failed")


if __name__ == "__main__":
    main()
