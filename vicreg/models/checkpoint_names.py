"""Names under which checkpoints keep a network, and whose they are."""

import enum
from typing import NamedTuple


class Role(enum.IntEnum):
    """What lies under a name; where a file holds several networks, the one of the least role is taken.

    A teacher comes before its student, as DINO's evaluation has it (`--checkpoint_key teacher` is its default). A moving
    average comes after the network itself. A momentum copy is never taken for the network.
    """

    NETWORK = 0
    TEACHER = 1
    STUDENT = 2
    AVERAGE = 3
    COPY = 4


class KnownName(NamedTuple):
    """One part of a tensor's dotted name, or a key of a checkpoint, and who calls it so."""

    role: Role
    source: str


_NETWORK = {
    "module": "torch.nn.DataParallel, DistributedDataParallel and torch.optim.swa_utils.AveragedModel",
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "torch.distributed.fsdp",
    "_forward_module": "Lightning Fabric",
    "state_dict": "Lightning, solo-learn, MoCo (facebookresearch/moco)",
    "model_state_dict": "the tutorial on checkpoints of pytorch.org",
    "model_state": "facebookresearch/pycls",
    "classy_state_dict": "VISSL (facebookresearch/vissl)",
    "base_model": "VISSL",
    "trunk": "VISSL, and open_clip's towers from timm",
    "_feature_blocks": "VISSL",
    "model": "torchvision's references, VICReg, Barlow Twins, SupContrast",
    "net": "kuangliu/pytorch-cifar, lucidrains/byol-pytorch",
    "network": "Lightning modules",
    "resnet": "Lightning modules",
    "backbone": "VICReg, lightly, solo-learn, DINO, mmpretrain",
    "encoder": "SimSiam (facebookresearch/simsiam), SupContrast, Lightning Bolts",
    "encoder1": "code with an encoder for each view, of which this is the first",
    "encoder2": "code with an encoder for each view, of which this is the second",
    "encoder_q": "MoCo (facebookresearch/moco)",
    "base_encoder": "MoCo v3 (facebookresearch/moco-v3)",
    "encoder_online": "BYOL written after SimSiam's builder",
    "online_encoder": "BYOL (lucidrains/byol-pytorch)",
    "online_network": "BYOL (Lightning Bolts)",
    "online_network_state_dict": "BYOL (sthalles/PyTorch-BYOL)",
    "online_net": "BYOL (OpenSelfSup)",
    "visual": "CLIP and open_clip, whose image tower it is",
}
_TEACHER = {
    "teacher": "DINO (facebookresearch/dino), iBOT",
    "teacher_backbone": "lightly's DINO",
}
_STUDENT = {
    "student": "DINO, iBOT",
    "student_backbone": "lightly's DINO",
}
_AVERAGE = {
    "model_ema": "torchvision's references, timm",
    "state_dict_ema": "timm",
    "ema_state_dict": "code written after timm's",
    "ema_model": "FixMatch in PyTorch, Lightning modules",
    "ema": "code written after timm's",
}
_COPY = {
    "momentum_backbone": "solo-learn",
    "backbone_momentum": "lightly",
    "encoder_k": "MoCo",
    "momentum_encoder": "MoCo v3",
    "encoder_target": "BYOL written after SimSiam's builder",
    "target_encoder": "BYOL (lucidrains/byol-pytorch)",
    "target_network": "BYOL (Lightning Bolts)",
    "target_network_state_dict": "BYOL (sthalles/PyTorch-BYOL)",
    "target_net": "BYOL (OpenSelfSup)",
}
KNOWN_NAMES = {
    name: KnownName(role, source)
    for role, names in zip(Role, (_NETWORK, _TEACHER, _STUDENT, _AVERAGE, _COPY), strict=True)
    for name, source in names.items()
}

# What stands after the pooling inside a network, and is no part of the encoder.
HEADS = {
    "fc": "torchvision; the projector of MoCo and SimSiam",
    "linear": "kuangliu/pytorch-cifar",
    "head": "mmpretrain, DINO",
    "classifier": "solo-learn",
    "projector": "Barlow Twins and VICReg with their backbone at the top",
    "projection_head": "SwAV (facebookresearch/swav)",
    "prototypes": "SwAV",
}
# Parts of a ResNet that others call otherwise than torchvision does.
RENAMED = {"shortcut": "downsample"}  # kuangliu/pytorch-cifar and SupContrast


def role_of(prefix: str) -> Role | None:
    """Return the role of a prefix such as `module.encoder_q.`, or None where one of its parts is unknown.

    Each part must be known as a whole: `encoder_q` is not `encoder`. Numbers are places in an nn.Sequential.
    """
    roles = [Role.NETWORK]
    for part in prefix.split(".")[:-1]:
        if not part.isdecimal():
            if part not in KNOWN_NAMES:
                return None
            roles.append(KNOWN_NAMES[part].role)
    return max(roles)
