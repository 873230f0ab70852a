"""Compares batched serving over HTTP with a bare ONNX Runtime loop at the same batch, in one run.

The bare loop is the most this machine can give: one process, random images in memory, batch after
batch, nothing sent to anyone. Against it, `python -m runtime serve` answers clients that each send
one image a request with tritonclient, in processes of their own, on the same cores. Every answer is
compared with what the model gives for that very image. They take turns, so that a drifting machine
favours none, and the median of the rounds counts. Memory is the resident peak of the process.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from runtime.bundle import Bundle
from runtime.table import text_table

GOAL = 0.9
"""The least share of the bare loop's throughput that serving must keep."""

BARE = """
import sys, time, json, resource
import numpy as np, onnxruntime
model, batch, seconds, threads, shape = sys.argv[1:]
batch, seconds, shape = int(batch), float(seconds), json.loads(shape)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(threads)
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
images = np.random.default_rng(0).standard_normal((batch, *shape), dtype=np.float32)
session.run(None, {name: images})
start, done = time.perf_counter(), 0
while time.perf_counter() - start < seconds:
    session.run(None, {name: images})
    done += batch
rate = done / (time.perf_counter() - start)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rate": rate, "peak_mib": peak}))
"""

CLIENT = """
import sys, time, json
import numpy as np, onnxruntime
import gevent, tritonclient.http as triton
url, name, model, seconds, seed, flights, shape = sys.argv[1:]
seconds, flights, shape = float(seconds), int(flights), json.loads(shape)
images = np.random.default_rng(int(seed)).standard_normal((4, *shape), dtype=np.float32)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
tensor = session.get_inputs()[0].name
expected = session.run(None, {tensor: images})[0]
scale = float(np.abs(expected).max())
assert min(np.abs(expected[i] - expected[i - 1]).max() for i in range(4)) > 1e-3 * scale
del session
client = triton.InferenceServerClient(url, concurrency=flights, network_timeout=120.0)
requests = []
for image in images:
    given = triton.InferInput(tensor, [1, *shape], "FP32")
    given.set_data_from_numpy(image[None])
    requests.append([given])
client.infer(name, requests[0])
print("ready", flush=True)
sys.stdin.readline()
end = time.perf_counter() + seconds
done, worst = 0, 0.0
def ask(first):
    global done, worst
    turn = first
    while time.perf_counter() < end:
        answer = client.infer(name, requests[turn % 4]).as_numpy("logits")[0]
        worst = max(worst, float(np.abs(answer - expected[turn % 4]).max()) / scale)
        done += 1
        turn += 1
gevent.joinall([gevent.spawn(ask, first) for first in range(flights)], raise_error=True)
print(json.dumps({"done": done, "worst": worst}))
"""


@dataclass
class Contestant:
    """A way to get images classified, and what it gave so far."""

    name: str
    rates: list[float] = field(default_factory=list)
    """Images a second, of each round."""
    peak_mib: float = 0.0

    @property
    def rate(self) -> float:
        """The median."""
        return statistics.median(self.rates)


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the clients do."""

    batch: int
    clients: int
    flights: int
    """Requests of each client that are under way at once."""
    seconds: float
    threads: int
    """Of ONNX Runtime, for both; 0: as many as it likes."""


def run_bare(bundle: Bundle, load: Load, shape: str, bare: Contestant) -> None:
    """Run the bare loop once."""
    model = bundle.folder / bundle.manifest.variants["fp32"].file
    words = [str(word) for word in (model, load.batch, load.seconds, load.threads, shape)]
    run = subprocess.run(
        [sys.executable, "-c", BARE, *words], stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(run.stdout)
    bare.rates.append(found["rate"])
    bare.peak_mib = max(bare.peak_mib, found["peak_mib"])


def run_served(bundle: Bundle, load: Load, shape: str, served: Contestant) -> float:
    """Serve to the clients once; return the largest gap of an answer, relative to the logits."""
    command = [sys.executable, "-m", "runtime", "serve", f"model={bundle.folder}", "--port", "0"]
    command += ["--batch", str(load.batch), "--queue", str(max(64, 4 * load.batch)), "--quiet"]
    command += ["--threads", str(load.threads), "--latency-budget-ms", "200"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip().removeprefix("http://")
            rate, worst = ask(url, bundle, load, shape)
            served.rates.append(rate)
        finally:
            server.send_signal(signal.SIGTERM)
            _, _, usage = os.wait4(server.pid, 0)
            server.returncode = 0
    served.peak_mib = max(served.peak_mib, usage.ru_maxrss / 1024)
    return worst


def ask(url: str, bundle: Bundle, load: Load, shape: str) -> tuple[float, float]:
    """Have all clients ask at once; return the images a second, and the largest gap."""
    model = bundle.folder / bundle.manifest.variants["fp32"].file
    clients = []
    for seed in range(load.clients):
        words = [url, "model", model, load.seconds, seed, load.flights, shape]
        clients.append(
            subprocess.Popen(
                [sys.executable, "-c", CLIENT, *map(str, words)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    for client in clients:
        assert client.stdout is not None
        if client.stdout.readline() != "ready\n":
            raise SystemExit("a client failed")
    start = time.perf_counter()
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("go\n")
        client.stdin.flush()
    answers = [client.communicate()[0] for client in clients]
    seconds = time.perf_counter() - start
    if any(client.returncode for client in clients):
        raise SystemExit("a client got no answer to a request")
    found = [json.loads(answer) for answer in answers]
    return sum(each["done"] for each in found) / seconds, max(each["worst"] for each in found)


def main(  # noqa: PLR0913 (a command line)
    bundle: Annotated[Path, typer.Argument(help="Made by python -m export resnet50 --onnx.")],
    batch: Annotated[int, typer.Option(min=1)] = 8,
    clients: Annotated[int, typer.Option(min=1, help="Processes that ask.")] = 4,
    flights: Annotated[int, typer.Option(min=1, help="Requests of each at once.")] = 4,
    seconds: Annotated[float, typer.Option(help="Of each turn.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    threads: Annotated[int, typer.Option(min=0, help="Of ONNX Runtime, in both.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare the images a second of a server with those of a bare loop."""
    loaded = Bundle.load(bundle)
    load = Load(batch=batch, clients=clients, flights=flights, seconds=seconds, threads=threads)
    shape = json.dumps(loaded.manifest.image.shape())
    bare, served = Contestant("bare loop"), Contestant(f"served to {clients} clients")
    worst = 0.0
    for _ in range(rounds):
        run_bare(loaded, load, shape, bare)
        worst = max(worst, run_served(loaded, load, shape, served))
    if worst > 1e-4:
        raise SystemExit(f"an answer is off by {worst:.1e} of the largest logit: another's?")
    ratio = served.rate / bare.rate
    if as_json:
        print(json.dumps({"ratio": ratio, "contestants": [vars(bare), vars(served)]}, indent=2))
    else:
        rows = [(c.name, f"{c.rate:.1f}", f"{c.peak_mib:.0f}") for c in (bare, served)]
        print(text_table((f"batch {batch}", "images/s", "peak MiB"), rows))
        print(
            f"ratio {ratio:.2f}; goal: at least {GOAL}; every answer was the one of its own image"
        )
    sys.exit(ratio < GOAL)


if __name__ == "__main__":
    typer.run(main)
