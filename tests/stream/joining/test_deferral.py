from dataclasses import replace

import numpy as np

from stream.asker_values import Askers
from stream.catalogue import Catalogue, CatalogueConfig
from stream.id_hash import hash64
from stream.joining.deferral import Deferral
from tests.conformance.stateful_contract import StatefulContract
from tests.stream_values import make_changes, make_lessons


def catalogue_of(*items: str) -> Catalogue:
    catalogue = Catalogue(CatalogueConfig())
    catalogue.admit(items, [])
    return catalogue


def test_what_has_a_row_by_the_next_batch_is_learned_then_and_the_rest_is_given_up():
    deferral = Deferral()
    deferral.put(make_lessons([[0], [0, 1]], [-1, -1]), ["unknown", "new"])
    lessons = deferral.take(catalogue_of("a", "b", "new"))
    assert lessons.target_M.tolist() == [2]
    assert lessons.contexts.history_CT[lessons.context_of_M].tolist() == [[0, 1]]


def test_rows_that_were_recycled_leave_the_contexts_and_sessions():
    deferral = Deferral()
    deferral.put(make_lessons([[0, 1, 2]], [-1]), ["new"])
    deferral.follow(make_changes(4, recycled=[1]))
    lessons = deferral.take(catalogue_of("new"))
    assert lessons.contexts.history_CT.tolist() == [[0, 2, -1]]
    assert lessons.session_length_M.tolist() == [2]


def test_who_asked_is_deferred_and_survives():
    lessons = make_lessons([[0], [1]], [-1, -1])
    who = Askers(np.array([[4], [5]], np.int32), np.array([[0.5], [0.25]], np.float32))
    deferral, restored = Deferral(), Deferral()
    deferral.put(replace(lessons, contexts=replace(lessons.contexts, askers=who)), ["a", "b"])
    deferral.follow(make_changes(2))
    restored.load_state_dict(deferral.state_dict())
    for one in (deferral, restored):
        taken = one.take(catalogue_of("b")).contexts
        assert taken.askers is not None
        assert taken.askers.token_CX.tolist() == [[4], [5]]


def test_forgotten_users_are_dropped():
    deferral = Deferral()
    users = [hash64("ann"), hash64("bob")]
    deferral.put(make_lessons([[0], [1]], [-1, -1], users=users), ["a", "b"])
    deferral.follow(make_changes(2, forgotten=users[:1]))
    assert deferral.take(catalogue_of("a", "b")).target_M.tolist() == [1]


class TestDeferralState(StatefulContract):
    make = staticmethod(Deferral)

    @staticmethod
    def drive(obj: Deferral, step: int) -> object:
        taken = obj.take(catalogue_of("a", "b"))
        obj.put(make_lessons([[step], [step, 1]], [-1, -1]), ["a", f"i{step}"])
        obj.follow(make_changes(10, recycled=np.array([1])))
        return taken
