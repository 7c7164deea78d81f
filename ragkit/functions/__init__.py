"""Python functions that a model may call: their description, the call itself, and the conversation around it."""

from ragkit.functions.calling import call
from ragkit.functions.conversation import Conversation, run
from ragkit.functions.description import describe

__all__ = ["Conversation", "call", "describe", "run"]
