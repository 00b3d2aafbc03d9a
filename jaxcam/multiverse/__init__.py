"""Every ranking of methods under every published convention."""

from jaxcam.multiverse.run import Multiverse as Multiverse
from jaxcam.multiverse.run import explore as explore
