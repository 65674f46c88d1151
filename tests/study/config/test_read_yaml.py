"""All YAML is read alike: as version 1.2, which DVC reads, and no key twice."""

import re
from pathlib import Path

import pytest

from study.config.read_yaml import parse_yaml, read_yaml
from study.config.values import parse_setting
from tests.study.config.refused import refusal

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E3", 1000.0), ("1.5e+3", 1500.0), ("1_000", 1000), ("0100", 100), ("-07", -7), ("0x10", 16),
        ("1:30", "1:30"), ("on", "on"), ("yes", "yes"), ("No", "No"), ("y", "y"), ("true", True), ("False", False),
        ("2020-01-01", "2020-01-01"), ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"), ("2020-13-41", "2020-13-41"),
        ("~", None), ("", None), ("١٢", "١٢"), ("'1e-3'", "1e-3"), ("[1e-3, 0010]", [0.001, 10]),
    ],
)  # fmt: skip
def test_a_value_is_what_yaml_1_2_says_in_a_file_and_on_the_command_line(text, value):
    read = parse_yaml(f"key: {text}", where="mine.yaml")["key"]
    assert read == value and type(read) is type(value)
    assert parse_setting(f"pretrain.nu={text}") == ("pretrain.nu", value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one: 1\ntwo: 2\none: 3", "mine.yaml, line 3: 'one' is given twice; delete one or rename it."),
        ("a: {b: 1, c: 2, b: 3}", "mine.yaml, line 1: 'b' is given twice; delete one or rename it."),
        ("- {a: 1}\n- a: 1\n  a: 2", "mine.yaml, line 3: 'a' is given twice; delete one or rename it."),
        ("1: a\n1.0: b", "mine.yaml, line 2: 1.0 is given twice; delete one or rename it."),
        ("x: &x {a: 1}\ny: {<<: *x, <<: *x}", "line 2: found duplicate merge key"),
        ("a:\t1", "line 1: found character '\\t' that cannot start any token; indent with spaces."),
        ("a: 1\n\tb: 2", "is not valid YAML, line"),
        ("a: 1\n---\nb: 2", "is not valid YAML, line 2: but found another document"),
        ("a: *b", "is not valid YAML, line 1: found undefined alias 'b'"),
        ("a: &a [*a]", "is not valid YAML: its values lie in one another too deep, or in a circle"),
        ("a: &a {b: *a}", "is not valid YAML: its values lie in one another too deep, or in a circle"),
        ("[" * 600, "is not valid YAML: its values lie in one another too deep"),
        ("a: " + "9" * 5000, "is not valid YAML: Exceeds the limit (4300 digits)"),
        ("a: 0x" + "f" * 5000, "is not valid YAML: a number has more than 10000 bits; write a smaller one."),
        ("? 0x" + "f" * 5000 + "\n: a", "is not valid YAML: a number has more than 10000 bits; write a smaller one."),
        ("a: \0", "is not valid YAML: unacceptable character"),
        ("a: !!python/object/apply:os.system [ls]", "is not valid YAML, line 1: could not determine a constructor"),
        ("a: !!set {b, c}", "is not valid YAML, line 1: could not determine a constructor"),
        ("a: !!omap [b: 1]", "is not valid YAML, line 1: could not determine a constructor"),
        ("a: !!bool maybe", "is not valid YAML: 'maybe' is no boolean; write true or false"),
        ("<<: 5", "is not valid YAML, line 1: expected a mapping or list of mappings for merging"),
        (b"a: \xff", "mine.yaml is not valid YAML: it is no UTF-8 text; save it as UTF-8."),
        ("a: 1".encode("utf-16"), "it is no UTF-8 text; save it as UTF-8"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_or_would_be_lost_is_refused_with_its_line(text, said):
    message = refusal(lambda: parse_yaml(text, where="mine.yaml"))
    assert said in message and message.startswith("mine.yaml")


def test_a_byte_order_mark_merged_keys_and_anchors_are_read():
    text = "\ufeffbase: &base {a: 1, b: 2}\nmine: {<<: *base, b: 3}\ntwice: [*base, *base]"
    read = parse_yaml(text.encode(), where="mine.yaml")
    assert read == {"base": {"a": 1, "b": 2}, "mine": {"a": 1, "b": 3}, "twice": [{"a": 1, "b": 2}] * 2}


def test_anchors_upon_anchors_are_looked_at_once_each():
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    assert len(parse_yaml(text, where="mine.yaml")) == 40


def test_a_file_is_named_as_asked(tmp_path):
    (tmp_path / "params.yaml").write_text("a: 1\na: 2", encoding="utf-8")
    assert refusal(read_yaml, tmp_path / "params.yaml").startswith(f"{tmp_path}/params.yaml, line 2: 'a' is given")
    assert refusal(lambda: read_yaml(tmp_path / "params.yaml", where="mine")).startswith("mine, line 2: 'a' is given")


def test_no_other_module_reads_yaml_by_a_library_of_its_own():
    sources = [path for folder in ("study", "vicreg") for path in (ROOT / folder).rglob("*.py")]
    reading = [
        path.name for path in sources if re.search(r"^(import|from) (yaml|ruamel)", path.read_text("utf-8"), flags=re.M)
    ]
    assert reading == ["read_yaml.py"]


def test_every_yaml_file_of_the_project_is_read():
    for path in (ROOT / "params.yaml", ROOT / "dvc.yaml", ROOT / "dvc.lock", *(ROOT / "study").rglob("*.yaml")):
        assert read_yaml(path), path
