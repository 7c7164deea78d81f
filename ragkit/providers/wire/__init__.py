"""JSON to nouns and nouns to JSON, for GigaChat and for OpenAI-compatible services: pure functions, without any I/O."""
