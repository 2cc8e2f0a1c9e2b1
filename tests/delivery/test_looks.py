"""What sites nobody has answered from may hold: at most half of the connections and of the memory of their kind."""

from __future__ import annotations

from relay.delivery.looks import Looks
from relay.delivery.site import Site
from relay.delivery.worker import Worker
from relay.settings import SiteLimits
from tests.delivery.test_shaping import transaction


def site(name: str = "one") -> Site:
    return Site(f"mx.{name}.example", SiteLimits())


def test_looks_get_half_of_the_connections_and_retries_half_of_that() -> None:
    looks = Looks(connections=8, deliveries=100)
    workers = [Worker(site(str(n)), transaction(is_fresh=n >= 2)) for n in range(4)]
    for number, worker in enumerate(workers):
        assert looks.has_room(is_fresh=True)
        assert looks.has_room(is_fresh=False) is (number < 2)
        looks.begin(worker)
    assert not looks.has_room(is_fresh=True)
    assert looks.end(workers[0])
    assert looks.has_room(is_fresh=False)
    assert not looks.end(workers[0])  # it is over already
    looks.begin(workers[0])
    assert not looks.has_room(is_fresh=False)


def test_what_waits_for_looks_is_half_of_the_memory_and_soon_little_of_each_site() -> None:
    looks = Looks(connections=8, deliveries=80)
    large = site("large")
    for _ in range(10):  # a quarter of the half: of one site, if there is no other
        assert looks.may_wait(large, is_fresh=False)
        looks.add(large, 1, is_fresh=False, is_known=False)
    assert not looks.may_wait(large, is_fresh=False)
    for small in [site(str(number)) for number in range(15)]:
        for _ in range(2):
            assert looks.may_wait(small, is_fresh=False)
            looks.add(small, 1, is_fresh=False, is_known=False)
    assert not looks.may_wait(site("new"), is_fresh=False)
    assert looks.may_wait(site("new"), is_fresh=True)  # first tries have their own
    looks.add(large, -10, is_fresh=False, is_known=False)
    assert looks.may_wait(site("new"), is_fresh=False)


def test_an_answer_frees_what_waited_for_it_and_nothing_is_counted_twice() -> None:
    looks = Looks(connections=8, deliveries=8)
    one, other = site("one"), site("other")
    looks.add(one, 4, is_fresh=True, is_known=False)
    assert not looks.may_wait(other, is_fresh=True)
    looks.answered(one)
    looks.add(one, 100, is_fresh=True, is_known=True)
    looks.add(one, -104, is_fresh=True, is_known=True)
    assert looks.may_wait(other, is_fresh=True)
    looks.add(other, 4, is_fresh=True, is_known=False)
    assert not looks.may_wait(one, is_fresh=True)
