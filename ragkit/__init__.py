"""ragkit turns a folder of documents into answers that can be checked against the page they came from."""

__version__ = "0.1.0"
