"""Which of torch's operations are called: on a GPU each is a launch or more, and one that reads a value waits."""

from torch.utils._python_dispatch import TorchDispatchMode

READS_A_VALUE = "_local_scalar_dense"  # what `item`, `float(tensor)`, `if tensor` and `tolist` call


class Operations(TorchDispatchMode):
    """The operations that are called meanwhile, by name, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))

    def count(self, name: str) -> int:
        return self.names.count(name)
