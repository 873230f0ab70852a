from export.models.imagenet import VERSIONS
from export.weights.check_weights import WORDS, check_weights


def test_words_that_stand_for_weights_are_no_files():
    assert set(WORDS) == {"", "random", "embedded", *VERSIONS}
    for word in WORDS:
        check_weights(word)
