"""The data layers that come with the package; each is a plugin like anyone's."""
