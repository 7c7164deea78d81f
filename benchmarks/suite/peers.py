"""An environment for the peers, apart from ragkit's own: their dependencies are many, and clash with each other first.

    python benchmarks/suite/peers.py PATH

It takes some gigabytes: txtai brings torch. Without a peer the suite goes on and says "not installed".
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

# Each with its licence, and why. Versions are not pinned: a run writes down which it met.
PEERS = [
    "langchain-community",  # MIT; FAISS.from_embeddings, PyPDFLoader, Docx2txtLoader
    "langchain-text-splitters",  # MIT; RecursiveCharacterTextSplitter
    "langchain-openai",  # MIT; OpenAIEmbeddings
    "llama-index-core",  # MIT; VectorStoreIndex
    "llama-index-vector-stores-faiss",  # MIT
    "llama-index-readers-file",  # MIT; PDFReader, DocxReader
    "llama-index-embeddings-openai-like",  # MIT
    "faiss-cpu",  # MIT; what the two keep their vectors in
    "chromadb",  # Apache-2.0
    "lancedb",  # Apache-2.0
    "txtai",  # Apache-2.0
    "llm",  # Apache-2.0; the shell
    "pypdf",  # BSD-3-Clause; what the loaders read PDF with
    "docx2txt",  # MIT; what the loaders read docx with
    "openai",  # Apache-2.0
]


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    path = Path(sys.argv[1])
    venv.create(path, with_pip=True)
    python = path / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)
    print(f"made: python -m benchmarks.suite --peers {python}")


if __name__ == "__main__":
    main()
