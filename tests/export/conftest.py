"""Classifiers and graphs that several tests look at; none of them changes one."""

import pytest

from export.fold import fold
from export.load import load
from export.load_options import LoadOptions
from export.trace import trace, trace_symbolically


@pytest.fixture(scope="session")
def digits():
    """The trained one-channel ResNet-20 for 8x8 digits."""
    return load("resnet20-digits", LoadOptions())


@pytest.fixture(scope="session")
def resnet18():
    """ResNet-18 with seeded random weights."""
    return load("resnet18", LoadOptions())


@pytest.fixture(scope="session")
def digits_graph(digits):
    """The folded digits classifier as it was traced."""
    return trace(fold(digits))


@pytest.fixture(scope="session")
def resnet18_graph(resnet18):
    """Folded ResNet-18 as it was traced."""
    return trace(fold(resnet18))


@pytest.fixture(scope="session")
def wordy_graph(digits):
    """The folded digits classifier traced with symbols: 11 nodes more than it needs."""
    return trace_symbolically(fold(digits))
