"""Items like a given one, looked for in the background: one pass over the shards."""

from typing import Any

import numpy as np

from active_learning import selectors
from active_learning.core.similar import NONE, likeness_to, merge_nearest, nearest
from active_learning.services import features
from labeling.core.errors import Invalid
from labeling.models import Project
from labeling.services.jobs import running_job

# As many as can be asked about at once.
MOST_FOUND = 200


def find_similar(*, job_id: str) -> None:
    """Runs a search for similar items; its result lists [id, cosine] of the nearest ones, the nearest first."""
    with running_job(job_id) as job:
        if job is not None:
            job.finish(similar_items(project=job.project, item_id=job.params["item"]))


def similar_items(*, project: Project, item_id: int) -> dict[str, Any]:
    """The open pool items without an answer that are most like the item; what they were compared by, and how many.

    Memory holds one shard and the nearest so far. Raises Invalid where there is nothing to compare by.
    """
    spec = features.stored_spec(selectors.policy_of(project))
    if spec is None:
        raise Invalid("No item of this project has features yet: they are computed within a minute of an import.")
    own = features.gather(project=project, spec=spec, ids=[item_id])
    like = None if own.block is None else likeness_to(spec, own.block)
    if like is None:
        raise Invalid("This item holds nothing that it could be compared by.")
    # The item itself is not like itself; audit items stay where chance put them.
    left_out = np.array(sorted(selectors.answered_or_closed_ids(project=project) | {item_id}), dtype=np.int64)
    found, n = NONE, 0
    for shard in features.open_shards(project=project, fingerprint=spec.fingerprint):
        ids = np.array(shard.ids)
        rows = np.flatnonzero(~shard.is_audit & ~np.isin(ids, left_out, assume_unique=True))
        n += len(rows)
        if len(rows):
            cosines = like.of(shard.block())[rows]
            found = merge_nearest(found, nearest(ids[rows], cosines, MOST_FOUND), MOST_FOUND)
    pairs = zip(found.ids.tolist(), found.cosines.tolist(), strict=True)
    return {"by": like.by, "looked_at": n, "found": [[pk, round(cosine, 4)] for pk, cosine in pairs]}
