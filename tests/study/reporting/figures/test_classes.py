"""Class by class."""

from study.reporting.figures.classes import class_accuracies, confusion_matrix


def test_counts_are_written_where_classes_are_few():
    few = confusion_matrix([[5, 1], [0, 7]], ["cat", "dog"])
    assert all(f">{text}</text>" in few for text in ("5", "1", "7", "cat", "dog")) and ">0</text>" not in few
    many = confusion_matrix([[1] * 30 for _ in range(30)], [f"class {i}" for i in range(30)])
    assert "class 0" not in many and "<image" in many and "<image" not in few and len(many) < 40_000
    assert "cat, predicted dog: 1" in few and "dog, predicted cat" not in few


def test_many_classes_are_counted_and_not_named():
    names = [f"class {i}" for i in range(30)]
    assert ">class 0</text>" not in class_accuracies([[0.5] * 30], names)
    assert ">class 0</text>" in class_accuracies([[0.5] * 3], names[:3])
    assert 'data-series="seed 7"><title>class 2, seed 7: 40.0 %' in class_accuracies([[0.5, 0.5, 0.4]], names[:3], seeds=[7])
