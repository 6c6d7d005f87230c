"""The main job on one machine: a site on a virtual IP survives the loss of a node."""
