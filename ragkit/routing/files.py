"""Files that are asked about: read once, for the choice of a route and for the way that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ragkit.errors import ConfigError
from ragkit.protocols import FileStore
from ragkit.ranking import is_offline
from ragkit.routing import ATTACHMENT, AUTO, RETRIEVAL, Abilities, Route, choose
from ragkit.routing.material import Material, look

if TYPE_CHECKING:
    from ragkit.protocols import ChatModel
    from ragkit.types import Document


@dataclass(frozen=True, slots=True)
class Plan:
    """The route for a question about files, with what was read of them to choose it.

    `load` gives the text of a file, which is read now if it was not before. It raises LoadError.
    """

    route: Route
    documents: Sequence[Document]
    load: Callable[[Path], Document]

    @classmethod
    def make(
        cls,
        paths: Sequence[Path],
        question: str,
        route: str,
        *,
        attaches: bool,
        searches: bool,
        chat: ChatModel | None,
        abilities: Abilities | None,
        embedding_model: str,
        load: Callable[[Path], Document],
        max_cost: float | None = None,
    ) -> Self:
        """Choose. Files that are to be attached are not read for it, unless there is a limit on money.

        Args:
            attaches: what is asked for can only be done with files that are attached.
            searches: an index can be made for them.
            max_cost: money for the question.

        Raises:
            BudgetExceeded: the question costs more.
            ConfigError: an unknown route, or one that leads nowhere.
            LoadError: only retrieval is open, and there is no text.
        """
        if route == RETRIEVAL and attaches:
            raise ConfigError(
                "files are kept, read with functions or talked about only where they are attached",
                "let the route be auto or attachment",
            )
        if route == RETRIEVAL and not searches:
            raise ConfigError("no index can be made here to search in files", "open one with ragkit.open")
        if route == ATTACHMENT or (route == AUTO and (attaches or not searches)):
            if max_cost is None:
                names = ", ".join(path.name for path in paths)
                why = (
                    ", as was asked" if route == ATTACHMENT or attaches else ": no index can be made here to search in"
                )
                return cls(Route(ATTACHMENT, f"the model reads all of {names}{why}"), (), load)
            route = ATTACHMENT
        abilities = replace(abilities or Abilities(), keeps_files=isinstance(chat, FileStore))
        materials = look(paths, load)
        chosen = choose(
            materials,
            question,
            route=route,
            abilities=abilities if chat else None,
            max_cost=max_cost,
            indexed=is_offline(embedding_model),
        )
        known = dict(zip(paths, materials, strict=True))
        documents = [each.document for each in materials if each.document]
        return cls(chosen, documents, lambda path: _text_of(known[path], path, load))


def _text_of(material: Material, path: Path, load: Callable[[Path], Document]) -> Document:
    if material.error:
        raise material.error
    return material.document or load(path)
