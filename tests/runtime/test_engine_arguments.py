import pytest

from runtime.engine_arguments import engine_requests, join_targets
from runtime.engine_options import EngineOptions
from runtime.errors import OptionError


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["--rtx"], ["--rtx", "any"]),
        (["--rtx", "sm75", "sm86", "--json"], ["--rtx", "sm75,sm86", "--json"]),
        (["a", "--rtx", "--json"], ["a", "--rtx", "any", "--json"]),
        (["--rtx", "current", "folder"], ["--rtx", "current", "folder"]),
        (["a", "sm86"], ["a", "sm86"]),
        ([], []),
    ],
)
def test_the_gpus_behind_rtx_become_one_word(words, joined):
    assert join_targets(words) == joined


def requests(rtx="", *, tensorrt=False, **options):
    return engine_requests(EngineOptions(**options), ["1:2:4"], rtx, tensorrt=tensorrt)


def test_each_library_is_a_request():
    assert requests() == ()
    own, rtx = requests("sm86,sm89", tensorrt=True)
    assert (own.options.flavour, own.targets) == ("tensorrt", ())
    assert (rtx.options.flavour, rtx.targets) == ("tensorrt_rtx", ("sm86", "sm89"))
    assert own.profiles == rtx.profiles == ("1:2:4",)


def test_rtx_alone_is_for_all_it_builds_for():
    (rtx,) = requests("any")
    assert rtx.targets == ()


def test_what_rtx_lacks_is_refused():
    with pytest.raises(OptionError, match="--dla does not exist in TensorRT-RTX"):
        requests("any", dla_core=0)
