"""Maps of images."""

from study.reporting.figures.maps import map_2d


def mapped(classes):
    return map_2d([(i, -i) for i in range(100)], [i % classes for i in range(100)], [f"class {i}" for i in range(classes)])


def test_classes_are_named_on_a_map_where_they_are_few():
    assert all(f">class {i}</text>" in mapped(10) for i in range(10))
    assert ">class 0</text>" not in mapped(100) and mapped(100).count("<use") == 100
