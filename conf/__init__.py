"""The yaml files; a package, so that Hydra finds them wherever it is started."""
