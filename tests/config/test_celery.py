import pytest
from django.core.cache import cache

from labeling.selectors import WORKER_ALIVE_KEY, worker_alive
from tests.services.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_worker_signs_by_itself_again_and_again(worker):
    assert worker_alive()
    cache.delete(WORKER_ALIVE_KEY)
    wait_until(worker_alive, seconds=20, what="the next sign of life, without any task")
