import pytest

from runtime.building.arguments import ENGINE_WORDS, EngineArguments
from runtime.cli import main
from runtime.command_line import NO_WORDS, join_words
from runtime.errors import OptionError


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["--rtx"], ["--rtx", NO_WORDS]),
        (["--rtx", "sm75", "sm86", "--json"], ["--rtx", "sm75,sm86", "--json"]),
        (["a", "--rtx", "--json"], ["a", "--rtx", NO_WORDS, "--json"]),
        (["--rtx", "current", "folder"], ["--rtx", "current", "folder"]),
        (["a", "sm86"], ["a", "sm86"]),
        (["--profile", "1:2:4", "1x3x8x8"], ["--profile", "1:2:4,1x3x8x8"]),
        (["--profile", "8", "timm:resnet18"], ["--profile", "8", "timm:resnet18"]),
        ([], []),
    ],
)
def test_gpus_and_profiles_become_one_word(words, joined):
    assert join_words(words, ENGINE_WORDS) == joined


def test_each_library_is_a_request():
    assert EngineArguments().requests(tensorrt=False) == ()
    arguments = EngineArguments(rtx="sm86,sm89", profile="1:2:4,8", level=5)
    own, rtx = arguments.requests(tensorrt=True)
    assert (own.options.flavour, own.targets) == ("tensorrt", ())
    assert (rtx.options.flavour, rtx.targets) == ("tensorrt_rtx", ("sm86", "sm89"))
    assert own.profiles == rtx.profiles == ("1:2:4", "8")
    assert own.options.optimization_level == rtx.options.optimization_level == 5


def test_rtx_alone_is_for_all_it_builds_for():
    (rtx,) = EngineArguments(rtx=NO_WORDS).requests(tensorrt=False)
    assert rtx.targets == ()


def test_what_rtx_lacks_is_refused():
    assert EngineArguments(dla=0).for_tensorrt().options.dla_core == 0
    with pytest.raises(OptionError, match="--dla does not exist in TensorRT-RTX"):
        EngineArguments(dla=0).for_rtx()


def test_what_is_said_of_engines_where_none_are_asked_for_is_refused():
    EngineArguments().refuse()
    for arguments, option in (
        (EngineArguments(level=5), "--level"),
        (EngineArguments(version_compatible=True), "--version-compatible"),
    ):
        with pytest.raises(OptionError, match=f"^{option}: given without engines"):
            arguments.refuse()


def test_a_cache_of_timings_is_refused_with_rtx_which_keeps_none(capsys):
    assert main(["build", "anywhere", "--rtx", "--timing-cache", "timings"]) == 2
    assert "--rtx, which keeps no timings" in capsys.readouterr().err
