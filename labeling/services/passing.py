"""Items that are here only because somebody complains of what was answered: they leave again with the last complaint.

They are set aside and not deleted: whoever reads the pool at the same moment still finds them, and a complaint that
comes again brings the same item back.
"""

from collections.abc import Iterable

from labeling.models import Annotation, Assignment, Comment, Item, QueueEntry, ReviewItem

# What brought an item, as long as nothing else has.
ORIGIN = "complaint"
# Somebody has it before them, or had.
_IN_HAND = (Assignment.State.LEASED, Assignment.State.SUBMITTED)
# Somebody asked for it by name.
_CHOSEN = (QueueEntry.Reason.SEARCH, QueueEntry.Reason.SECOND_OPINION)


def leave(*, item: Item) -> bool:
    """Takes the item out of the pool and out of line when nothing holds it there: whether it did. The caller holds the
    item's row.

    A person's answer, remark, review or choice holds it, a known answer does, and an open review for another reason.
    """
    if item.origin != ORIGIN or item.state != Item.State.OPEN or item.gold is not None or _is_held(item.pk):
        return False
    Item.objects.filter(pk=item.pk).update(state=Item.State.EXCLUDED)
    QueueEntry.objects.filter(item_id=item.pk).delete()
    item.state = Item.State.EXCLUDED
    return True


def _is_held(item_id: int) -> bool:
    return (
        ReviewItem.objects.filter(item_id=item_id).exclude(state=ReviewItem.State.CLOSED).exists()
        or Assignment.objects.filter(item_id=item_id, state__in=_IN_HAND).exists()
        or Annotation.objects.live().filter(item_id=item_id).exists()
        or Comment.objects.filter(item_id=item_id).exists()
        or QueueEntry.objects.filter(item_id=item_id, reason__in=_CHOSEN).exists()
    )


def come_back(*, items: Iterable[Item], origin: str = ORIGIN) -> None:
    """Items that left are open again. What brought them now (`origin`) stays with them: what came by anything but a
    complaint does not leave any more. The caller holds their rows."""
    passing = [item for item in items if item.origin == ORIGIN]
    if not passing:
        return
    # What nobody can tell was excluded by a person.
    unclear = set(
        ReviewItem.objects.filter(item__in=passing, state=ReviewItem.State.UNCLEAR).values_list("item_id", flat=True)
    )
    for item in passing:
        is_away = item.state == Item.State.EXCLUDED and item.pk not in unclear
        if is_away or item.origin != origin:
            item.state, item.origin = Item.State.OPEN if is_away else item.state, origin
            Item.objects.filter(pk=item.pk).update(state=item.state, origin=origin)
