from hypothesis import given
from hypothesis import strategies as st

from runtime.scoring.partition import TableFile, choose_size, cut

LENGTHS = st.lists(st.integers(0, 300), max_size=6)


def files_of(lengths):
    return [TableFile(path=f"/{name}.parquet", rows=rows) for name, rows in enumerate(lengths)]


@given(lengths=LENGTHS, size=st.integers(1, 400))
def test_each_row_is_in_exactly_one_partition_and_in_order(lengths, size):
    files = files_of(lengths)
    covered = [
        (each.file, row)
        for each in cut(files, size)
        for row in range(each.first, each.first + each.rows)
    ]
    assert covered == [(file.path, row) for file in files for row in range(file.rows)]


@given(lengths=LENGTHS, size=st.integers(1, 400))
def test_partitions_are_numbered_never_empty_and_never_too_large(lengths, size):
    partitions = cut(files_of(lengths), size)
    assert [each.number for each in partitions] == list(range(len(partitions)))
    assert all(1 <= each.rows <= size for each in partitions)
    assert [each.start for each in partitions] == [
        sum(before.rows for before in partitions[:number]) for number in range(len(partitions))
    ]


@given(images=st.integers(1, 10**12))
def test_partitions_are_few_enough_to_keep_track_of(images):
    assert -(-images // choose_size(images)) <= 20_000


def test_few_images_are_spread_and_many_are_bundled():
    assert [choose_size(images) for images in (1, 2000, 10_000, 10**6, 10**9)] == [
        64,
        64,
        313,
        1024,
        50_000,
    ]
