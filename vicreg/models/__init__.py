"""Networks: ResNets, their layers, heads, and pretrained encoders."""
