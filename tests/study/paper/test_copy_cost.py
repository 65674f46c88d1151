"""What JPEG coding costs, as the page reads it."""

import json

import pytest

from study.paper.copy_cost import CodingCost, CopyCost, read_copy_cost
from vicreg.errors import InputError

DIGITS = {"probe": "linear_cached", "coded": "train and test", "n": 8, "mean": -0.003, "low": -0.009, "high": 0.002,
          "psnr": 30.5}  # fmt: skip


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_without_a_file_nothing_is_measured(tmp_path):
    assert read_copy_cost(tmp_path / "jpeg.json") == CopyCost(cifar10=None, digits=None, copy=None)


def test_the_statement_of_the_file_is_read_and_all_else_in_it_is_left_aside(tmp_path):
    content = {
        "psnr": 30.5,
        "statement": {"digits": {**DIGITS, "images": 360}, "copy": None, "what": "more"},
        "digits": {"rows": [1]},
    }
    found = read_copy_cost(written(tmp_path / "jpeg.json", content))
    assert found == CopyCost(digits=CodingCost(**DIGITS), copy=None)


@pytest.mark.parametrize("content", ["no JSON", "[]", "{}", {"statement": {"digits": {"probe": "linear_cached"}}}])
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path, content):
    with pytest.raises(InputError, match=r"run python -m benchmarks\.jpeg again"):
        read_copy_cost(written(tmp_path / "jpeg.json", content))
