"""What a network is built from: its encoder, and how many channels go in and regions come out."""

from typing import NamedTuple


class NetworkShape(NamedTuple):
    """A U-Net's encoder by name, its input channels and its outputs, one a region; whether it has
    the heads of deep supervision."""

    encoder: str
    channels: int = 3
    regions: int = 1
    deep: bool = False
