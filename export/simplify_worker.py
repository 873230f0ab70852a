"""The child process of simplify: an ONNX model in on standard input, the simplified one out.

Apart from simplify so that a crash, a hang or a memory leak of native code ends with this process.
Started as `python -m export.simplify_worker MEMORY_MIB`.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Simplify one model; whatever onnxsim prints goes to standard error."""
    _limit_memory(int(sys.argv[1]))
    result = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # onnxsim imports torch where it finds it, for features that are not used here: a second lost.
    sys.modules["torch"] = None  # type: ignore[assignment]
    import onnx
    import onnxsim

    model = onnx.load_model_from_string(sys.stdin.buffer.read())
    simplified, _ = onnxsim.simplify(model, certify=False)
    result.write(simplified.SerializeToString())
    result.close()


def _limit_memory(mebibytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit; the time limit still holds
        return
    resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))


if __name__ == "__main__":
    main()
