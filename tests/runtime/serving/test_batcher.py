import asyncio
import threading

import numpy as np
import pytest

from runtime.errors import BackendError, OptionError, RequestError
from runtime.serving.batcher import Batcher, run_together
from runtime.serving.options import BatchOptions


class Doubler:
    """A model that answers each image with twice its first value, and remembers its batches."""

    def __init__(self):
        self.batches = []
        self.begun = threading.Event()
        self.may_run = threading.Event()
        self.may_run.set()

    def __call__(self, images):
        self.begun.set()
        self.may_run.wait(60)
        self.batches.append(images.shape)
        return [images.reshape(len(images), -1)[:, :1] * 2]


def images(*values, side=2):
    shape = (len(values), 1, side, side)
    return np.broadcast_to(np.array(values, np.float32)[:, None, None, None], shape)


async def ask(batcher, *values, side=2):
    (answer,) = await batcher.answer(images(*values, side=side))
    return answer.ravel().tolist()


def test_everyone_gets_the_rows_of_their_own_images():
    async def scene():
        model = Doubler()
        batcher = Batcher(model, BatchOptions(largest=8))
        asked = [tuple(range(first, first + 1 + first % 3)) for first in range(100)]
        answers = await asyncio.gather(*(ask(batcher, *values) for values in asked))
        assert answers == [[2.0 * value for value in values] for values in asked]
        assert len(model.batches) < len(asked)
        await batcher.close()

    asyncio.run(scene())


def test_what_comes_while_a_batch_runs_shares_the_next_one():
    async def scene():
        model = Doubler()
        model.may_run.clear()
        batcher = Batcher(model, BatchOptions(largest=4))
        first = asyncio.ensure_future(ask(batcher, 1))
        await asyncio.to_thread(model.begun.wait, 60)
        others = [asyncio.ensure_future(ask(batcher, value)) for value in range(2, 8)]
        await asyncio.sleep(0)
        model.may_run.set()
        assert await asyncio.gather(first, *others) == [[2.0 * value] for value in range(1, 8)]
        assert [shape[0] for shape in model.batches] == [1, 4, 2]

    asyncio.run(scene())


def test_only_images_of_equal_shape_share_a_batch():
    async def scene():
        model = Doubler()
        batcher = Batcher(model, BatchOptions(largest=8))
        asked = [(1, 2), (2, 3), (3, 2), (4, 3), (5, 2)]
        answers = await asyncio.gather(*(ask(batcher, value, side=side) for value, side in asked))
        assert answers == [[2.0 * value] for value, _ in asked]
        assert sorted(model.batches) == [(2, 1, 3, 3), (3, 1, 2, 2)]

    asyncio.run(scene())


def test_oldest_request_is_in_the_next_batch_even_if_smaller_ones_would_fill_it():
    async def scene():
        model = Doubler()
        model.may_run.clear()
        batcher = Batcher(model, BatchOptions(largest=4))
        running = asyncio.ensure_future(ask(batcher, 0))
        await asyncio.to_thread(model.begun.wait, 60)
        asked = [(1, 2, 3), (4, 5), (6,), (7, 8)]
        waiting = [asyncio.ensure_future(ask(batcher, *values)) for values in asked]
        await asyncio.sleep(0)
        model.may_run.set()
        await asyncio.gather(running, *waiting)
        assert [shape[0] for shape in model.batches] == [1, 4, 4]

    asyncio.run(scene())


def test_batch_that_is_not_full_is_held_back_for_the_latency_budget():
    async def scene():
        batcher = Batcher(Doubler(), BatchOptions(largest=3, latency_budget_ms=200))
        start = asyncio.get_running_loop().time()
        await ask(batcher, 1)
        assert asyncio.get_running_loop().time() - start >= 0.19  # nobody else came

    asyncio.run(scene())


def test_batch_that_is_full_is_not_held_back():
    async def scene():
        model = Doubler()
        batcher = Batcher(model, BatchOptions(largest=3, latency_budget_ms=60_000))
        first = asyncio.ensure_future(ask(batcher, 1))
        await asyncio.sleep(0.05)
        assert not first.done()
        await asyncio.wait_for(asyncio.gather(first, ask(batcher, 2), ask(batcher, 3)), 30)
        assert [shape[0] for shape in model.batches] == [3]

    asyncio.run(scene())


def test_without_a_budget_nothing_is_held_back():
    async def scene():
        batcher = Batcher(Doubler(), BatchOptions(largest=64))
        start = asyncio.get_running_loop().time()
        for value in range(1000):  # so many that the slowest machine is told from the least wait
            await ask(batcher, value)
        assert asyncio.get_running_loop().time() - start < 50

    asyncio.run(scene())


def test_more_than_the_queue_holds_is_refused_at_once_and_room_comes_back():
    async def scene():
        batcher = Batcher(Doubler(), BatchOptions(largest=2, queue=4))
        with batcher.admit(3):
            with pytest.raises(RequestError, match="3 images wait already, 2 more") as error:
                batcher.admit(2).__enter__()
            assert error.value.status == 503
            assert error.value.retry_after_s >= 1
            with batcher.admit(1):
                assert batcher.admitted == 4
        assert batcher.admitted == 0

    asyncio.run(scene())


def test_request_whose_client_left_costs_nothing():
    async def scene():
        model = Doubler()
        model.may_run.clear()
        batcher = Batcher(model, BatchOptions(largest=1))
        first = asyncio.ensure_future(ask(batcher, 1))
        left = asyncio.ensure_future(ask(batcher, 2))
        last = asyncio.ensure_future(ask(batcher, 3))
        await asyncio.to_thread(model.begun.wait, 60)
        left.cancel()
        model.may_run.set()
        assert await asyncio.gather(first, last) == [[2.0], [6.0]]
        assert len(model.batches) == 2

    asyncio.run(scene())


def test_failure_is_told_to_everyone_of_the_batch_and_the_next_one_runs():
    def model(given):
        if given.shape[-1] == 3:
            raise BackendError("no room")
        return [given.reshape(len(given), -1)[:, :1] * 2]

    async def scene():
        batcher = Batcher(model, BatchOptions(largest=8))
        asked = [ask(batcher, 1, side=3), ask(batcher, 2, side=3), ask(batcher, 3)]
        one, two, three = await asyncio.gather(*asked, return_exceptions=True)
        assert str(one) == str(two) == "no room"
        assert three == [6.0]

    asyncio.run(scene())


def test_closing_answers_what_was_asked():
    async def scene():
        batcher = Batcher(Doubler(), BatchOptions(largest=1))
        asked = [asyncio.ensure_future(ask(batcher, value)) for value in range(5)]
        await asyncio.sleep(0)
        await batcher.close()
        assert [answer.result() for answer in asked] == [[2.0 * value] for value in range(5)]

    asyncio.run(scene())


def test_model_that_gives_other_than_a_row_an_image_is_not_believed():
    with pytest.raises(BackendError, match="3 rows for 2 images"):
        run_together(lambda given: [np.zeros((3, 1))], [images(1), images(2)])


@pytest.mark.parametrize(
    "options", [{"largest": 0}, {"largest": 9, "queue": 8}, {"latency_budget_ms": -1}]
)
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(OptionError, match="expected"):
        BatchOptions(**options)
