"""A source is an entry of TOML; what is wrong with one is said with its name and field."""

import pickle

import pytest

from selfj.collection.sources import CATEGORIES, choose, is_collection, load, parse
from selfj.errors import ConfigError

GOOD = {"name": "mine", "path": "rows.jsonl", "instruction": "question"}


def test_an_entry_is_enough(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[[sources]]\nname = "mine"\npath = "rows.jsonl"\ninstruction = "question"\n')
    [source] = load(path)
    assert (source.name, source.instruction, source.category, source.reference) == ("mine", "question", "mixed", None)
    assert pickle.loads(pickle.dumps(source)) == source
    assert is_collection(path)
    assert is_collection("self-j")


def test_what_is_no_collection(tmp_path):
    other = tmp_path / "run.toml"
    other.write_text("seed = 1\n")
    broken = tmp_path / "broken.toml"
    broken.write_text("[[sources]\n")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}\n")
    assert not any(is_collection(target) for target in (other, broken, rows, tmp_path / "absent.toml", "demo"))
    with pytest.raises(ConfigError, match=r"run\.toml has no \[\[sources\]\]"):
        load(other)
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(broken)
    with pytest.raises(ConfigError, match="No collection at absent: expected a TOML file"):
        load("absent")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"instruction": None}, r"entry 1 \(mine\): instruction"),
        ({"reference": "a", "reference_kind": "best"}, r"entry 1 \(mine\): reference_kind: Input should be"),
        ({"reference_kind": "gold"}, "reference_kind is given, but no reference"),
        ({"hub": "a/b"}, "exactly one of hub, path and url"),
        ({"path": None}, "exactly one of hub, path and url"),
        ({"instruction": "{title"}, "instruction: the template '{title' has a lone brace"),
        ({"instruction": "answers[x]"}, r"instruction: 'answers\[x\]' is no path"),
        ({"instruction": {"text": "a", "remove": "("}}, r"instruction\.remove: '\(' is no regular expression of RE2"),
        ({"instruction": {"text": "a", "delete": "b"}}, r"instruction\.delete is not a field"),
        ({"category": "maths"}, "'maths' is no category: expected one of common, coding, academic, mixed"),
        ({"category": {"column": "t", "values": {"1": "maths"}}}, "category: 'maths' is no category"),
        ({"where": [{"column": "score"}]}, "where.0: a filter needs equals, among"),
        ({"where": [{"column": "score", "min": 3}]}, r"where\.0\.min is not a field"),
        ({"colour": "red"}, "colour is not a field of a source"),
        ({"limit": 0}, "limit: Input should be greater than or equal to 1"),
        ({"paper_rows": {"maths": 3}}, "'maths' is not one of common, coding, academic"),
        ({"name": "a b"}, r"entry 1 \(a b\): name: String should match"),
        ({"path": None, "url": "ftp://there/x"}, "url: url must start with http"),
        ({"path": None, "url": "https://me:hunter2@there/x"}, "url holds a user or a password"),
        ({"path": None, "hub": "a/b/c"}, "hub takes OWNER/NAME"),
    ],
)
def test_faults_name_the_entry_and_the_field(change, said):
    entry = {key: value for key, value in (GOOD | change).items() if value is not None}
    with pytest.raises(ConfigError, match=said) as caught:
        parse([entry])
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).count("entry 1") == 1


def test_faults_of_all_entries_come_together():
    with pytest.raises(
        ConfigError, match=r"entry 2 \(b\): path.*entry 3 is not a table.*2 entries have the name mine"
    ) as e:
        parse([GOOD, {**GOOD, "name": "b", "path": 3}, "text", GOOD])
    assert "entry 1" not in str(e.value)


def test_choosing():
    def entry(name, category):
        return {**GOOD, "name": name, "category": category}

    by = {"column": "topic", "values": {"4": "coding"}, "otherwise": "common"}
    sources = parse([entry("a1", "common"), entry("a2", "coding"), entry("b", "mixed"), entry("c", by)])

    def names(**words):
        return [source.name for source in choose(sources, **words)]

    assert names() == ["a1", "a2", "b", "c"]
    assert names(only=["a*"]) == ["a1", "a2"]
    assert names(only=["coding"]) == ["a2", "b", "c"]
    assert names(only=["academic"]) == ["b"]
    assert names(only=["b"], include=["a1"]) == ["a1", "b"]
    assert names(exclude=["coding", "c"]) == ["a1", "b"]
    with pytest.raises(ConfigError, match=r"No source is named 'z'. Sources: a1, a2, b, c"):
        names(only=["z"])
    with pytest.raises(ConfigError, match="No source is left"):
        names(only=["a1"], exclude=["common"])


def test_the_registry_is_the_papers_table():
    sources = load("self-j")
    lines = [(source.name, category) for source in sources for category in source.paper_rows]
    assert len(lines) == 37
    assert [sum(category == wanted for _, category in lines) for wanted in CATEGORIES] == [14, 11, 12]
    rows = {category: sum(source.paper_rows.get(category, 0) for source in sources) for category in CATEGORIES}
    assert rows == {"common": 3_112_428, "coding": 1_815_202, "academic": 826_782}
    assert sum(rows.values()) == 5_754_412
    assert all(source.may_have(category) for source in sources for category in source.paper_rows)
    assert all(source.hub for source in sources)
