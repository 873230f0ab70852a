import pytest

from runtime.building.arguments import GPU_TARGETS, engine_requests
from runtime.command_line import NO_WORDS, join_words
from runtime.engines.options import EngineOptions
from runtime.errors import OptionError


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["--rtx"], ["--rtx", NO_WORDS]),
        (["--rtx", "sm75", "sm86", "--json"], ["--rtx", "sm75,sm86", "--json"]),
        (["a", "--rtx", "--json"], ["a", "--rtx", NO_WORDS, "--json"]),
        (["--rtx", "current", "folder"], ["--rtx", "current", "folder"]),
        (["a", "sm86"], ["a", "sm86"]),
        ([], []),
    ],
)
def test_the_gpus_behind_rtx_become_one_word(words, joined):
    assert join_words(words, {"--rtx": GPU_TARGETS}) == joined


def requests(rtx="", *, tensorrt=False, **options):
    return engine_requests(EngineOptions(**options), ["1:2:4"], rtx, tensorrt=tensorrt)


def test_each_library_is_a_request():
    assert requests() == ()
    own, rtx = requests("sm86,sm89", tensorrt=True)
    assert (own.options.flavour, own.targets) == ("tensorrt", ())
    assert (rtx.options.flavour, rtx.targets) == ("tensorrt_rtx", ("sm86", "sm89"))
    assert own.profiles == rtx.profiles == ("1:2:4",)


def test_rtx_alone_is_for_all_it_builds_for():
    (rtx,) = requests(NO_WORDS)
    assert rtx.targets == ()


def test_what_rtx_lacks_is_refused():
    with pytest.raises(OptionError, match="--dla does not exist in TensorRT-RTX"):
        requests(NO_WORDS, dla_core=0)
