import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import BundleError, ImageError, OptionError
from runtime.evaluation.dataset import open_dataset
from runtime.evaluation.document import read_evaluation
from runtime.evaluation.evaluate import Request, evaluate
from runtime.evaluation.statistics import p_worse
from runtime.results_file import results_path
from runtime.terminal import Screen

ROOT = Path(__file__).parents[3]
QUIET = Screen(quiet=True)


@pytest.fixture(scope="module")
def truths(drawn):
    """The class each image is said to be of: not always what a model answers."""
    # These are the classes that the model of this seed answers, and the frequent one among them.
    return np.random.default_rng(1).choice([5, 5, 5, 0, 2, 1], len(drawn)).tolist()


@pytest.fixture
def data(drawn, truths, tmp_path):
    """A CSV file of the images."""
    file = tmp_path / "data.csv"
    file.write_text("".join(f"{p},{t}\n" for p, t in zip(drawn, truths, strict=True)))
    return file


def run(bundle, data, output, **request):
    return evaluate(bundle, open_dataset(data), Request(**request), output, QUIET)


def test_numbers_are_those_of_asking_for_each_image_alone(
    varied_bundle, data, drawn, truths, answers_of, tmp_path
):
    found = run(varied_bundle, data, tmp_path / "e.json")
    answers = {name: answers_of(varied_bundle, drawn, name) for name in found.variants}
    assert list(answers) == ["fp32", "fp16", "int8.cpu"]
    for name, result in found.variants.items():
        right = [a.index == t for a, t in zip(answers[name], truths, strict=True)]
        assert (result.top1.count, result.top1.of) == (sum(right), 60)
        by_class = {each.index: (each.top1.count, each.top1.of) for each in result.classes}
        assert by_class == {
            index: (sum(r for r, t in zip(right, truths, strict=True) if t == index), images)
            for index, images in Counter(truths).items()
        }
        pairs = Counter((t, a.index) for t, a in zip(truths, answers[name], strict=True))
        assert result.confusion == tuple((*pair, pairs[pair]) for pair in sorted(pairs))
        assert sum(each.images for each in result.calibration) == 60
    assert 0 < found.variants["fp32"].top1.count < 60


def test_variants_are_compared_with_fp32_image_by_image(
    varied_bundle, data, drawn, truths, answers_of, tmp_path
):
    found = run(varied_bundle, data, tmp_path / "e.json")
    base, other = (answers_of(varied_bundle, drawn, name) for name in ("fp32", "int8.cpu"))
    triples = list(zip(truths, base, other, strict=True))
    wrong = sum(b.index == t != o.index for t, b, o in triples)
    right = sum(o.index == t != b.index for t, b, o in triples)
    assert wrong != right
    compared = found.comparisons["int8.cpu"]
    assert (compared.became_wrong, compared.became_right) == (wrong, right)
    assert compared.p_worse == p_worse(wrong, right)
    assert compared.agreement.count == sum(b.index == o.index for _, b, o in triples) < 60
    assert found.comparisons["fp16"].agreement.count == 60
    assert found.comparisons["fp16"].p_worse == 1


def test_each_changed_image_is_named_with_all_answers(
    varied_bundle, data, drawn, answers_of, tmp_path
):
    found = run(varied_bundle, data, tmp_path / "e.json")
    base, other = (answers_of(varied_bundle, drawn, name) for name in ("fp32", "int8.cpu"))
    changed = [i for i in range(60) if base[i].index != other[i].index]
    assert [each.path for each in found.changes] == [drawn[i].as_posix() for i in changed]
    for change, i in zip(found.changes, changed, strict=True):
        for name, expected in {"fp32": base[i], "fp16": base[i], "int8.cpu": other[i]}.items():
            assert change.answers[name].index == expected.index
            assert change.answers[name].probability == pytest.approx(expected.probability, abs=2e-6)


def test_document_is_read_back_as_it_was_written(varied_bundle, data, tmp_path):
    found = run(varied_bundle, data, tmp_path / "e.json")
    assert read_evaluation(tmp_path / "e.json") == found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "e.json"]
    for text in (b"{}", b"[]", b'{"schema_version": 2}', b"{"):
        (tmp_path / "other.json").write_bytes(text)
        with pytest.raises(BundleError, match=r"other\.json"):
            read_evaluation(tmp_path / "other.json")
    with pytest.raises(BundleError, match="make it with"):
        read_evaluation(tmp_path / "missing.json")


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batch_size_changes_nothing(varied_bundle, data, tmp_path, batch):
    found = run(varied_bundle, data, tmp_path / "e.json", batch=batch)
    expected = run(varied_bundle, data, tmp_path / "f.json")
    for name, result in found.variants.items():
        assert result.confusion == expected.variants[name].confusion


def test_image_that_cannot_be_read_is_named_and_counts_nowhere(varied_bundle, data, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    text = data.read_text().splitlines()
    data.write_text("\n".join([*text[:5], "broken.png,5", *text[5:], "missing.png,0"]))
    found = run(varied_bundle, data, tmp_path / "e.json")
    assert found.images == 60 == found.variants["fp32"].top1.of
    assert found.data.listed == 62
    assert [each.path for each in found.failures] == ["broken.png", "missing.png"]
    assert "no such file" in found.failures[1].reason
    data.write_text("broken.png,5\nmissing.png,0\n")
    with pytest.raises(ImageError, match="none of 2 images could be read"):
        run(varied_bundle, data, tmp_path / "e.json")


def test_variant_that_yields_nan_is_wrong_and_said_to_be(publish_varied, data, tmp_path):
    def spoil(weights):
        spoilt = weights.copy()
        spoilt[4] = np.nan
        return spoilt

    bundle = publish_varied(tmp_path / "spoilt", {"fp16": spoil})
    found = run(bundle, data, tmp_path / "e.json")
    assert found.variants["fp32"].not_finite == 0
    assert found.variants["fp16"].not_finite == 60
    assert found.variants["fp16"].top1.count == found.variants["fp16"].top5.count == 0
    assert found.changes[0].answers["fp16"].index == -1


def test_model_of_fixed_batch_is_filled(publish_varied, varied_bundle, data, tmp_path):
    same = {"fp16": lambda weights: weights}
    fixed = publish_varied(tmp_path / "fixed", same, shape=("7", "3", "16", "16"))
    found = run(fixed, data, tmp_path / "e.json")
    expected = run(varied_bundle, data, tmp_path / "f.json")
    assert found.variants["fp32"].confusion == expected.variants["fp32"].confusion


def test_only_named_variants_are_evaluated(varied_bundle, data, tmp_path):
    found = run(varied_bundle, data, tmp_path / "e.json", variants=("int8.cpu",))
    assert list(found.variants) == ["int8.cpu"]
    assert found.comparisons == {}
    assert found.changes == ()
    with pytest.raises(OptionError, match="has no variant 'int4'"):
        run(varied_bundle, data, tmp_path / "e.json", variants=("int4",))
    with pytest.raises(OptionError, match="has no engine 'int8-trt'"):
        run(varied_bundle, data, tmp_path / "e.json", engines=("int8-trt",))


def test_one_class_alone_and_few_images_are_warned_of(varied_bundle, data, drawn, tmp_path):
    warnings = run(varied_bundle, data, tmp_path / "e.json").warnings
    assert [w.partition(":")[0] for w in warnings] == [
        "the data shows 4 of the model's 10 classes",
        "60 images are few",
    ]
    data.write_text("".join(f"{path},hen\n" for path in drawn))
    warnings = run(varied_bundle, data, tmp_path / "e.json").warnings
    assert warnings[0].startswith("all 60 images are of one class, 'hen'")


# In a process of its own, which may be told to die when it has answered so many images.
UNDER_WAY = """
import contextlib, itertools, os, sys
from pathlib import Path
from runtime.bundle import Bundle
from runtime.evaluation.dataset import open_dataset
from runtime.evaluation.evaluate import Request, evaluate
from runtime.terminal import Screen

class Doomed(Screen):
    def progress(self, what, total):
        answered = itertools.count(1)
        return contextlib.nullcontext(lambda: next(answered) == last and os.kill(os.getpid(), 9))

bundle, data, output = map(Path, sys.argv[1:4])
last = int(sys.argv[4]) if len(sys.argv) > 4 else 0
evaluate(Bundle.load(bundle), open_dataset(data), Request({request}), output, Doomed())
"""


def test_killed_run_goes_on_and_answers_each_image_once(
    varied_bundle, data, drawn, truths, tmp_path
):
    many = [
        (f"{n}-{path.name}", path, t)
        for n in range(25)
        for path, t in zip(drawn, truths, strict=True)
    ]
    for name, path, _ in many:
        (tmp_path / name).symlink_to(path)
    data.write_text("".join(f"{name},{truth}\n" for name, _, truth in many))
    output, answers = tmp_path / "e.json", tmp_path / "e.json.answers"
    code = UNDER_WAY.format(request="batch=2, threads=1")
    command = [sys.executable, "-c", code, varied_bundle.folder, data, output]
    killed = subprocess.run([*command, str(len(many) // 2)], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    before = answers.read_bytes()
    assert 0 < before.count(b"\n") - 1 < len(many)
    whole = run(varied_bundle, data, tmp_path / "whole.json")
    again = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    taken = before.count(b"\n") - 1
    assert f"going on after {taken} images" in again.stderr
    assert f"{len(many) - taken} images" in again.stderr
    found = read_evaluation(output)
    assert found.key == whole.key
    for name, result in found.variants.items():
        assert result.confusion == whole.variants[name].confusion
    assert not answers.exists()


def test_replaced_image_makes_earlier_answers_void(varied_bundle, data, drawn, tmp_path):
    own = [Path(shutil.copy(path, tmp_path / path.name)) for path in drawn[:3]]
    data.write_text("".join(f"{path.name},0\n" for path in own))
    key = run(varied_bundle, data, tmp_path / "e.json").key
    assert run(varied_bundle, data, tmp_path / "e.json").key == key
    shutil.copy(drawn[9], own[1])
    assert run(varied_bundle, data, tmp_path / "e.json").key != key


def test_results_lie_beside_the_bundle_however_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    expected = tmp_path / "mine.evaluation.json"
    assert results_path(tmp_path / "mine", "evaluation") == expected
    monkeypatch.chdir(tmp_path / "mine")
    assert results_path(Path(), "evaluation") == expected


def test_output_that_cannot_be_written_is_told_before_the_work(varied_bundle, data, tmp_path):
    for output, words in {
        tmp_path: "is a folder",
        Path("/proc/e.json"): "cannot write",
    }.items():
        with pytest.raises((OptionError, BundleError), match=words):
            run(varied_bundle, data, output)


PEAK = (
    UNDER_WAY
    + """
from runtime.benchmark.timing import peak_mib
print(peak_mib())
"""
)


def test_memory_does_not_grow_with_the_images(varied_bundle, drawn, tmp_path):
    def peak_mib(images):
        folder = tmp_path / str(images)
        folder.mkdir()
        for n in range(images):
            (folder / f"{n}.png").symlink_to(drawn[n % len(drawn)])
        (folder / "data.csv").write_text("".join(f"{n}.png,0\n" for n in range(images)))
        code = PEAK.format(request="variants=('fp32',), threads=1")
        arguments = [varied_bundle.folder, folder / "data.csv", folder / "e.json"]
        child = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        return float(child.stdout)

    # As float32, 6,000 images would be 18 MiB. Paths, labels and answers are below 5.
    assert peak_mib(6064) - peak_mib(64) < 12
