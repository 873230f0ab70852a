"""Scores partitions with Ray Data: a pool of actors, one a core, each with the model.

An actor returns the files of its partitions; only this process writes them. So an actor that dies
or is repeated leaves nothing behind, and what passes through Ray's object store is small.

Ray repeats what an actor had under way when it died, as often as it dies. Where an image crashes
its decoder, or the model its provider, that is for ever: so it is counted how often each partition
was begun, and how often each actor began to open the model.
"""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.errors import BackendError, DeployError
from runtime.ray_driver import RayDriver
from runtime.ray_session import ray_session
from runtime.scoring.partition import Partition
from runtime.scoring.partition_file import encode
from runtime.scoring.score_chunk import Job
from runtime.scoring.scorer import Scorer

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["score_on_ray"]

_CPUS_PER_ACTOR = 0.5
"""Booked, not used: actors that book every core leave none for Ray's own tasks, which then wait."""
_TRIES = 3
"""Of what ends its actors: machines may be lost, but not again and again with the same."""
_THREADS = 1
"""Of each actor: two share their core's cache, and were a third slower."""


def score_on_ray(
    job: Job, partitions: Sequence[Partition], address: str
) -> Iterator[tuple[Partition, bytes]]:
    """Return the file of each partition, in any order, as they are done.

    Args:
        job: its bundle, its inputs and their files are where all machines find them.
        partitions: at least one.
        address: of a cluster; empty to begin one of this machine's cores.

    Raises:
        BackendMissingError: if Ray is not installed.
        BackendError: if Ray fails, a machine cannot do the job, or a partition, or opening the
            model, ends every actor that begins it.
    """
    by_number = {partition.number: partition for partition in partitions}
    with RayDriver(partial(_drive, job, partitions, address)) as driver:
        for _ in partitions:
            number, data, error = driver.ask()
            if error:
                raise BackendError(error)
            yield by_number[number], data


def _drive(
    job: Job, partitions: Sequence[Partition], address: str
) -> Generator[tuple[int, bytes, str]]:
    """Yield the number and the file of each partition, and the error if there is no such file."""
    with ray_session(address):
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        journal = ray.remote(num_cpus=0)(_Journal).remote()
        actors = max(1, min(_count_cores(), len(partitions)))
        done = ray.data.from_items(
            [asdict(partition) for partition in partitions],
            override_num_blocks=len(partitions),  # a block is done when all of its rows are
        ).map_batches(
            _Actor,
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=_CPUS_PER_ACTOR,
            compute=ray.data.ActorPoolStrategy(size=actors),
            fn_constructor_kwargs={"job": job, "journal": journal},
        )
        # Ray's own iterators read ahead in threads, which may outlive the session.
        for bundle in done.iter_internal_ref_bundles():
            for block in ray.get(list(bundle.block_refs)):
                for row in block.to_pylist():
                    error = f"{row['error']} (on {row['machine']})" if row["error"] else ""
                    yield row["number"], row["data"], error


def _count_cores() -> int:
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(resources.get("CPU", 1))


class _Journal:
    """Counts how often each thing was begun: an actor that dies can say nothing itself."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begin(self, thing: str) -> int:
        """Return how often it was begun since it was last ended, this time included."""
        self._begun[thing] += 1
        return self._begun[thing]

    def end(self, thing: str) -> None:
        """Forget how often it was begun."""
        del self._begun[thing]


class _Actor:
    """Scores one partition at a time, on one of the machines.

    An error is returned, not raised: Ray would wrap it in a report of many lines.
    """

    def __init__(self, job: Job, journal: Any) -> None:  # noqa: ANN401 (Ray's handle of a _Journal)
        import ray

        self._error = ""
        self._journal = journal
        opening = f"opening by {ray.get_runtime_context().get_actor_id()}"  # one restarted keeps it
        if ray.get(journal.begin.remote(opening)) > _TRIES:
            self._error = (
                f"the process that opens the model died {_TRIES} times: the model crashes what "
                "runs it, or takes too much memory; try python -m runtime verify there"
            )
            return
        try:
            self._scorer = Scorer(job, _THREADS)
        except DeployError as error:
            self._error = str(error)
        ray.get(journal.end.remote(opening))

    def __call__(self, batch: pa.Table) -> dict[str, list[Any]]:
        import ray

        (row,) = batch.to_pylist()
        data = b""
        if ray.get(self._journal.begin.remote(f"partition {row['number']}")) > _TRIES:
            last = row["start"] + row["rows"] - 1
            self._error = (
                f"the process that scores images {row['start']} to {last} died {_TRIES} times: one "
                "of them crashes its decoder, or takes too much memory; leave it out"
            )
        try:
            for partition, rows in () if self._error else self._scorer.score([Partition(**row)]):
                data = encode(partition, rows)
        except DeployError as error:
            self._error = str(error)
        return {
            "number": [row["number"]],
            "data": [data],
            "error": [self._error],
            "machine": [socket.gethostname()],
        }
