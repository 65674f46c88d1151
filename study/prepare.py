"""The stage `prepare`: a data set as uint8 tensors with labels, splits and digest, under `data/prepared`."""

from study.cli.command import run_command
from study.config.load import load_config
from study.runs.prepared_data import PREPARED, prepare


def main() -> None:
    config = load_config()
    dataset = prepare(config, PREPARED)
    sizes = ", ".join(f"{len(getattr(dataset, part).images)} {part}" for part in ("train", "validation", "test"))
    print(f"{dataset.name}: {sizes}; {dataset.digest}")


if __name__ == "__main__":
    run_command(main)
