"""What `python -m export` settles before it imports anything large."""

import os
import subprocess
import sys

CODE = """
import os, sys
import export.__main__
print(os.environ["OPENBLAS_NUM_THREADS"], "numpy" in sys.modules)
"""


def settled(**surroundings: str) -> str:
    env = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    run = subprocess.run(
        [sys.executable, "-c", CODE],
        env=env | surroundings,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def test_blas_is_given_one_thread_before_numpy_is_loaded():
    assert settled() == "1 False"


def test_threads_that_a_person_gives_to_blas_are_left_alone():
    assert settled(OPENBLAS_NUM_THREADS="3") == "3 False"
