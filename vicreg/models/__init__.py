"""Networks: the ResNet backbones, their layers, and encoders that others trained."""
