"""The only code of this project that sees raw content: it encodes objects and lands events."""

__version__ = "0.1.0"
