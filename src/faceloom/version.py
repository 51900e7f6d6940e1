"""The version of faceloom."""

from importlib.metadata import version

VERSION = version("faceloom")
