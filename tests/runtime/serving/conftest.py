"""Servers in processes of their own, as a person starts them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Server:
    """A server that runs, and what can be asked of it without any client."""

    process: subprocess.Popen
    url: str

    @property
    def address(self):
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def ask(self, path, data=None, headers=None):
        """Return the status, the headers and the body of an answer."""
        request = urllib.request.Request(self.url + path, data, headers or {})
        try:
            with _NO_PROXY.open(request, timeout=50) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def ask_json(self, path, document=None, headers=None):
        """Return the status and the JSON of an answer."""
        data = None if document is None else json.dumps(document).encode()
        status, _, body = self.ask(path, data, headers)
        return status, json.loads(body)

    def stop(self, number=signal.SIGTERM):
        """Send a signal and return the exit status and what was written to stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@contextlib.contextmanager
def running(*argv, **environment):
    """Start a server on a free port, wait until it listens, and end it."""
    command = [sys.executable, "-m", "runtime", "serve", "--port", "0", *map(str, argv)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise AssertionError(process.communicate()[1])
        yield Server(process, url)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def start_server():
    """Return the function that starts a server: a context manager."""
    return running


@pytest.fixture(scope="session")
def server(tiny_bundle):
    """Return a server of the tiny bundle that tests share."""
    with running(f"tiny={tiny_bundle.folder}", "--max-body-mib", "4") as one:
        yield one
