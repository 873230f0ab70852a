"""The straight line from a bundle and labelled images to a verdict.

verify, compare, count, evaluate, time: every measurement beside its gate

What was altered is not run: then the verdict ends with the first of them, and it is no.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calibration.take_evenly import take_evenly
from export.classifier import Classifier
from export.divergence.load_reference import load_reference
from export.divergence.sides import read_variant
from export.divergence.wish import Wish
from export.parity.report import ParityReport
from export.verdict.check_accuracy import check_accuracy
from export.verdict.check_bundle import check_bundle
from export.verdict.check_parity import check_parity, read_parity
from export.verdict.check_precision import check_precision
from export.verdict.check_sameness import check_sameness
from export.verdict.check_speed import check_speed
from export.verdict.find_results import find_benchmark, find_evaluation
from export.verdict.finding import Finding, Verdict
from export.verdict.gates import FAIL
from export.verdict.read_gates import Gates
from runtime.benchmark.document import Benchmark
from runtime.bundle import Bundle
from runtime.errors import OptionError
from runtime.evaluation.dataset import Dataset, open_dataset
from runtime.evaluation.document import Evaluation
from runtime.evaluation.match_labels import match_labels
from runtime.feed import check_classifier
from runtime.terminal import Screen

__all__ = ["Evidence", "Question", "judge"]

_COMPARED = 256
"""Images at most that PyTorch is asked about, spread evenly."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the bundle is judged on, and by which gates."""

    data: Path
    """A folder with a folder for each class, or a CSV file of path,label."""
    gates: Gates
    wish: Wish | None = None
    """What the bundle was exported from; None if PyTorch is not to be asked."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a verdict rests on; what was not measured is None."""

    dataset: Dataset
    parity: ParityReport | None = None
    evaluation: Evaluation | None = None
    benchmark: Benchmark | None = None
    classifier: Classifier | None = None


def judge(bundle: Bundle, question: Question, screen: Screen) -> tuple[Verdict, Evidence]:
    """Return the verdict on a bundle, and what it rests on.

    Raises:
        DeployError: if the bundle, the data or the model that was named cannot be judged.
    """
    gates, manifest = question.gates, bundle.manifest
    dataset = _open_data(bundle, question.data)
    with screen.step("verify") as step:
        findings = list(check_bundle(bundle))
        step.detail = f"{len(manifest.files)} files, {len(manifest.variants)} variants"
    if any(finding.status == FAIL for finding in findings):
        return _conclude(bundle, question, findings), Evidence(dataset=dataset)
    classifier = _load(bundle, question.wish)
    parity = read_parity(bundle)
    findings += check_parity(parity)
    findings += check_precision(manifest, gates.precision)
    evaluation = find_evaluation(bundle, dataset, screen)
    if classifier is not None:
        findings.append(check_sameness(bundle, classifier, _readable(dataset, evaluation), screen))
    findings += check_accuracy(evaluation, manifest, gates)
    benchmark = find_benchmark(bundle, screen)
    findings += check_speed(benchmark, gates.speed)
    return _conclude(bundle, question, findings), Evidence(
        dataset=dataset,
        parity=parity,
        evaluation=evaluation,
        benchmark=benchmark,
        classifier=classifier,
    )


def _open_data(bundle: Bundle, data: Path) -> Dataset:
    """Return the labelled images, refused before anything runs if they cannot judge the model."""
    manifest = bundle.manifest
    check_classifier(manifest.variants["fp32"], manifest)
    dataset = open_dataset(data)
    labels = dataset.labels()
    match_labels(labels, manifest.labels, manifest.model.classes)
    if len(labels) < 2:
        raise OptionError(
            f"--data: all images of '{data}' are of the class '{labels[0]}'; expected two classes "
            "or more, for a model that always answers the same would be right on all of them"
        )
    return dataset


def _load(bundle: Bundle, wish: Wish | None) -> Classifier | None:
    if wish is None:
        return None
    classifier = load_reference(wish, bundle, read_variant(bundle, "fp32"))
    if classifier.weights.sha256 != bundle.manifest.weights.sha256:
        raise OptionError(
            f"--weights: those of {classifier.name} are not the ones '{bundle.folder}' was "
            f"exported from ({bundle.manifest.weights.detail}): another SHA-256"
        )
    return classifier


def _readable(dataset: Dataset, evaluation: Evaluation) -> list[Path]:
    broken = {failure.path for failure in evaluation.failures}
    paths = [each.path for each in dataset.examples if dataset.name(each.path) not in broken]
    return take_evenly(paths, _COMPARED)


def _conclude(bundle: Bundle, question: Question, findings: list[Finding]) -> Verdict:
    return Verdict(
        bundle=str(bundle.folder),
        model=bundle.manifest.model.name,
        data=str(question.data),
        findings=tuple(findings),
        strict=question.gates.not_shown == FAIL,
    )
