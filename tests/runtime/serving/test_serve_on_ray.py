"""The same server on Ray: two replicas on half a core each, started once."""

import concurrent.futures
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from runtime.bundle import Bundle
from runtime.cli import main
from runtime.errors import OptionError
from runtime.open_runner import open_runner
from runtime.serving.serve_on_ray import parse_replicas

SHAPES = [(1, 3, 16, 16), (2, 3, 16, 16), (3, 3, 20, 12)]
IMAGES = [
    np.random.default_rng(seed).standard_normal(SHAPES[seed % 3], dtype=np.float32)
    for seed in range(12)
]


@pytest.fixture(scope="module")
def folder(publish_tiny, tmp_path_factory):
    """A bundle that is exchanged while it is served."""
    folder = tmp_path_factory.mktemp("served") / "tiny"
    publish_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def server(start_server, folder):
    with start_server(folder, "--ray", "--replicas", "2", "--replica-cores", "0.5") as one:
        yield one
        status, _ = one.stop()  # Ray's own processes end with it
        assert status == 0


def expected(bundle):
    runner = open_runner(bundle, threads=1)
    return [runner.logits(images) for images in IMAGES]


def ask(client, number):
    images = IMAGES[number]
    given = triton.InferInput("images", list(images.shape), "FP32")
    given.set_data_from_numpy(images)
    return client.infer("tiny", [given]).as_numpy("logits")


class Asker:
    """A client that asks until it is told to stop, and asks again when it gets an error."""

    def __init__(self, server):
        self.url = server.url.removeprefix("http://")
        self.stopped = False
        self.answers = []
        self.retries = 0

    def __call__(self, first):
        client = triton.InferenceServerClient(self.url, network_timeout=60)
        number = first
        while not self.stopped:
            number = (number + 1) % len(IMAGES)
            self.answers.append((number, self._ask_again(client, number)))
        client.close()

    def _ask_again(self, client, number):
        for _ in range(1000):
            try:
                return ask(client, number)
            except (InferenceServerException, OSError):
                self.retries += 1
                time.sleep(0.1)
        raise AssertionError("no answer after 1000 retries")


def while_asking(server, work):
    """Do the work while three clients ask, before and after it, too; return what they saw."""
    askers = [Asker(server) for _ in range(3)]

    def wait_for_answers(each):
        wanted = [len(asker.answers) + each for asker in askers]
        while any(len(a.answers) < w for a, w in zip(askers, wanted, strict=True)):
            assert not any(one.done() for one in running)
            time.sleep(0.01)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        running = [pool.submit(asker, first) for first, asker in enumerate(askers)]
        try:
            wait_for_answers(10)
            work()
            wait_for_answers(10)
        finally:
            for asker in askers:
                asker.stopped = True
        for one in running:
            one.result()
    return [answer for asker in askers for answer in asker.answers], sum(a.retries for a in askers)


def gap(given, wanted):
    assert given.shape == wanted.shape
    return float(np.abs(given - wanted).max())


def test_answers_are_those_of_the_model_and_everyones_own(server, folder):
    right = expected(Bundle.load(folder))
    answers, retries = while_asking(server, lambda: None)
    assert retries == 0
    assert len(answers) >= 60
    assert max(gap(given, right[number]) for number, given in answers) < 1e-5


def replicas(server):
    """Return the processes of Ray Serve's replicas below the server's, and of no other."""
    parents, found = {}, []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status = (entry / "stat").read_text()
            title = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        pid = int(entry.name)
        parents[pid] = int(status.rpartition(")")[2].split()[1])
        if title.startswith(b"ray::ServeReplica"):
            found.append(pid)
    return [pid for pid in found if server.process.pid in _ancestors(pid, parents)]


def _ancestors(pid, parents):
    above = []
    while pid in parents:
        pid = parents[pid]
        above.append(pid)
    return above


def test_killed_replica_loses_nothing_that_is_asked_again(server, folder):
    right = expected(Bundle.load(folder))
    victim, _ = replicas(server)
    answers, _ = while_asking(server, lambda: os.kill(victim, signal.SIGKILL))
    assert max(gap(given, right[number]) for number, given in answers) < 1e-5
    deadline = time.monotonic() + 300
    while len(set(replicas(server)) - {victim}) < 2:  # Ray replaces it
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_changed_bundle_is_rolled_out_and_no_request_fails(server, folder, publish_tiny):
    old = expected(Bundle.load(folder))
    new = expected(publish_tiny(folder, seed=5))

    def roll_out():
        overdue = threading.Timer(300, server.process.kill)  # its pipe then ends, and the test
        overdue.start()
        server.process.send_signal(signal.SIGHUP)
        line = ""
        while not line.startswith("roll out"):
            line = server.process.stderr.readline()
            assert line
        overdue.cancel()

    answers, retries = while_asking(server, roll_out)
    assert retries == 0
    assert all(min(gap(a, old[n]), gap(a, new[n])) < 1e-5 for n, a in answers)
    number, last = answers[-1]
    assert gap(last, new[number]) < 1e-5 < gap(last, old[number])


@pytest.mark.parametrize("text", ["0", "3:2", "many", "1:x", "-1", "", "9" * 5000])
def test_replicas_that_cannot_be_are_refused(text):
    with pytest.raises(OptionError, match=r"^replicas: given"):
        parse_replicas(text, 1.0, "")


@pytest.mark.parametrize("cores", [0, -1, float("nan"), float("inf")])
def test_replicas_of_a_senseless_share_of_cores_are_refused(cores):
    with pytest.raises(OptionError, match=r"^replicas: given 1 to 1"):
        parse_replicas("1:1", cores, "")


def test_bundle_that_cannot_be_served_starts_no_ray(tmp_path, capsys):
    assert main(["serve", str(tmp_path / "none"), "--ray", "--port", "0"]) == 2
    assert "there is no bundle" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="the GPU may be willing here")
def test_lesser_provider_is_told_before_ray_is_asked(tiny_bundle, capsys):
    nobody = ("--port", "0", "--address", "127.0.0.1:9")
    cuda = ("--provider", "cuda", "--allow-fallback")
    status = main(["serve", f"tiny={tiny_bundle.folder}", "--ray", *nobody, *cuda])
    said = capsys.readouterr().err.splitlines()
    assert status == 2
    assert said[0].startswith("open")
    assert said[1].startswith("warning: tiny: provider 'cuda'")
    assert said[1].endswith("; running on cpu instead")
    assert said[2].startswith("error: Ray cannot join the cluster at '127.0.0.1:9'")
