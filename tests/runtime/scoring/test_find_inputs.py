import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.errors import OptionError
from runtime.scoring.find_inputs import find_inputs
from runtime.scoring.partition import cut
from runtime.scoring.read_inputs import read_inputs


@pytest.fixture
def tree(tmp_path, photographs):
    """A folder with three images, one of them below it, and things that are none."""
    for name in ("b.jpg", "a.jpg", "more/c.jpg", ".hidden.jpg", "notes.md"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photographs[0].read_bytes())
    return tmp_path / "tree"


def write_table(path, columns, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


def found(images, tmp_path, column="", size=100):
    """Return the inputs that are found, cut and read again."""
    inputs = find_inputs(str(images), column, tmp_path / "listing")
    return [each for part in cut(inputs.files, size) for each in read_inputs(part, inputs, "/root")]


def test_tree_stands_for_the_images_below_it_by_name(tree, tmp_path):
    names = [each.name for each in found(tree, tmp_path)]
    assert names == [str(tree / name) for name in ("a.jpg", "b.jpg", "more/c.jpg")]


def test_pattern_stands_for_what_it_matches(tree, tmp_path):
    assert [each.name for each in found(tree / "*.jpg", tmp_path)] == [
        str(tree / "a.jpg"),
        str(tree / "b.jpg"),
    ]


def test_list_is_a_path_a_line_whoever_wrote_it(tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_bytes("\ufeffa.jpg\r\n\r\n/b c.jpg\nnäme.jpg".encode() + b"\n\xff.jpg\n")
    inputs = found(listing, tmp_path)
    assert [each.name for each in inputs] == ["a.jpg", "/b c.jpg", "näme.jpg", "\udcff.jpg"]
    assert [each.path for each in inputs[:2]] == ["/root/a.jpg", "/b c.jpg"]
    assert [each.index for each in inputs] == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_table_of_paths(tmp_path, kind):
    table = write_table(tmp_path / "t.parquet", {"path": pa.array(["a.jpg", None], kind)})
    given, null = found(table, tmp_path)
    assert (given.name, given.path) == ("a.jpg", "/root/a.jpg")
    assert (null.name, null.path, null.data) == ("t.parquet#1", "", None)


def test_table_of_images_takes_their_names_from_its_paths(tmp_path, photographs):
    data = photographs[0].read_bytes()
    table = write_table(tmp_path / "t.parquet", {"path": ["x", None], "bytes": [data, data]})
    inputs = found(table, tmp_path)
    assert [each.name for each in inputs] == ["x", "t.parquet#1"]
    assert {each.open().size for each in inputs} == {(640, 427)}


def test_struct_of_bytes_and_path_is_an_image_or_a_path(tmp_path, photographs):
    data = photographs[0].read_bytes()
    images = [{"bytes": data, "path": "x.jpg"}, {"bytes": None, "path": str(photographs[1])}, None]
    first, second, null = found(write_table(tmp_path / "t.parquet", {"image": images}), tmp_path)
    assert (first.name, first.data) == ("x.jpg", data)
    assert (second.path, second.data) == (str(photographs[1]), None)
    assert (null.path, null.data) == ("", None)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 20, 100])
def test_rows_are_the_same_however_the_table_is_grouped_and_cut(tmp_path, size):
    paths = [f"{number}.jpg" for number in range(41)]
    table = write_table(tmp_path / "t.parquet", {"path": paths}, row_group_size=6)
    assert [each.name for each in found(table, tmp_path, size=size)] == paths


def test_folder_and_pattern_of_tables_stand_for_all_of_their_rows(tmp_path):
    folder = tmp_path / "tables"
    for number in range(3):
        write_table(folder / f"{number}.parquet", {"file": [f"{number}a", f"{number}b"]})
    write_table(folder / "_run" / "9.parquet", {"other": [1]})
    expected = ["0a", "0b", "1a", "1b", "2a", "2b"]
    for images in (folder, folder / "*.parquet"):
        assert [each.name for each in found(images, tmp_path, column="file")] == expected


@pytest.mark.parametrize(
    ("columns", "column", "reason"),
    [
        ({"file": ["a"], "size": [1]}, "", "none of bytes, image, path; it has: file, size"),
        ({"file": ["a"], "size": [1]}, "name", "no column 'name'; it has: file, size"),
        ({"size": [1]}, "size", "the column 'size' holds int64; expected paths"),
        ({"path": pa.array([], pa.string())}, "", "has no rows"),
    ],
)
def test_table_without_images_is_refused(tmp_path, columns, column, reason):
    with pytest.raises(OptionError, match=reason):
        found(write_table(tmp_path / "t.parquet", columns), tmp_path, column)


def test_truncated_table_is_refused(tmp_path):
    table = write_table(tmp_path / "t.parquet", {"path": ["a.jpg"] * 100})
    table.write_bytes(table.read_bytes()[:-20])
    with pytest.raises(OptionError, match="cannot be read as parquet"):
        found(table, tmp_path)


def test_table_that_shrinks_after_it_was_found_is_refused(tmp_path):
    table = write_table(tmp_path / "t.parquet", {"path": ["a.jpg"] * 100})
    inputs = find_inputs(str(table), "", tmp_path / "listing")
    write_table(table, {"path": ["a.jpg"] * 50})
    (partition,) = cut(inputs.files, 100)
    with pytest.raises(OptionError, match="50 rows; expected 100"):
        list(read_inputs(partition, inputs, "/"))


def test_what_stands_for_nothing_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "notes.md").write_text("# Notes")
    (tmp_path / "endless.txt").write_bytes(b"a.jpg\n" + bytes(1 << 20))
    for name, reason in {
        "empty": "no images in",
        "*.jpg": "no images in",
        "*.parquet": "matches nothing",
        "empty.txt": "names no image",
        "endless.txt": "line 2 is no path",
        "missing": "does not exist",
        "missing.parquet": "cannot be read as parquet",
        "notes.md": "ends in none of",
    }.items():
        with pytest.raises(OptionError, match=reason):
            found(tmp_path / name, tmp_path)
    with pytest.raises(OptionError, match="is no parquet file, so it has no columns"):
        found(tmp_path, tmp_path, column="path")


def test_list_is_known_again_by_its_paths_and_a_table_by_its_content(tree, tmp_path):
    def sha256(images):
        return find_inputs(str(images), "", tmp_path / "listing").sha256

    before = sha256(tree)
    assert sha256(tree) == before
    (tree / "d.jpg").write_bytes(b"")
    assert sha256(tree) != before
    table = write_table(tmp_path / "t.parquet", {"path": ["a", "b"]})
    before = sha256(table)
    write_table(table, {"path": ["a", "c"]})
    assert sha256(table) != before
