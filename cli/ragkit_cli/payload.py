"""The library's nouns as JSON objects. docs/json.md lists every field; a test holds the two together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragkit_cli.hints import with_index

if TYPE_CHECKING:
    from ragkit.answers import Answer, Citation, Statement
    from ragkit.messages import Image, RemoteFile
    from ragkit.reports import DocumentInfo, FileReport, Finding, IndexReport, IndexStatus, Problem
    from ragkit.types import Document, Hit, Usage

Json = dict[str, Any]


def of_hit(hit: Hit, *, explain: bool = False) -> Json:
    """A passage that was found, flat; with its rank in each leg where asked to explain."""
    chunk = hit.chunk
    found: Json = {
        "id": hit.id,
        "source": chunk.source,
        "page": chunk.page,
        "line": chunk.line,
        "start": chunk.start,
        "end": chunk.end,
        "heading": chunk.heading,
        "score": hit.score,
        "scores": dict(hit.scores),
        "text": chunk.text,
        "metadata": dict(hit.metadata),
    }
    if explain:
        found["ranks"] = dict(hit.ranks)
    return found


def of_citation(citation: Citation) -> Json:
    """A quote and its place."""
    return {
        "marker": citation.marker,
        "source": citation.source,
        "page": citation.page,
        "line": citation.line,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "verification": str(citation.verification),
    }


def of_statement(statement: Statement) -> Json:
    """A sentence of an answer, and what stands behind it."""
    return {
        "text": statement.text,
        "start": statement.start,
        "end": statement.end,
        "support": str(statement.support),
        "markers": list(statement.markers),
    }


def of_answer(answer: Answer, *, explain: bool = False) -> Json:
    """The answer, field for field."""
    return {
        "question": answer.question,
        "text": answer.text,
        "status": str(answer.status),
        "refusal": str(answer.refusal) if answer.refusal else None,
        "reason": answer.reason,
        "mode": answer.mode,
        "model": answer.model,
        "citations": [of_citation(each) for each in answer.citations],
        "statements": [of_statement(each) for each in answer.statements],
        "hits": [of_hit(each, explain=explain) for each in answer.hits],
        "notes": list(answer.notes),
        "dropped": list(answer.dropped),
        "usage": of_usage(answer.usage),
        "timings": dict(answer.timings),
    }


def of_usage(usage: Usage) -> Json:
    """What services billed."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "precached_prompt_tokens": usage.precached_prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "embedding_tokens": usage.embedding_tokens,
        "total_tokens": usage.total_tokens,
        "cost": usage.cost,
    }


def of_problem(problem: Problem) -> Json:
    """What kept text out of the index."""
    return {"reason": problem.reason, "cure": with_index(problem.cure), "page": problem.page, "code": problem.code}


def of_file(report: FileReport) -> Json:
    """What became of one file."""
    return {
        "source": report.source,
        "status": str(report.status),
        "chunks": report.chunks,
        "problems": [of_problem(each) for each in report.problems],
        "notes": list(report.notes),
    }


def of_report(report: IndexReport) -> Json:
    """What one run over one folder did."""
    return {
        "root": report.root,
        "new": report.new,
        "changed": report.changed,
        "removed": report.removed,
        "unchanged": report.unchanged,
        "failed": report.failed,
        "embedded": report.embedded,
        "reused": report.reused,
        "moved": report.moved,
        "model": report.model,
        "usage": of_usage(report.usage),
        "estimated": report.estimated,
        "complete": report.complete,
        "seconds": report.seconds,
        "files": map(of_file, report.files),
    }


def of_info(info: DocumentInfo) -> Json:
    """What the index knows of a document, without its text."""
    return {
        "source": info.source,
        "media_type": info.media_type,
        "title": info.title,
        "characters": info.characters,
        "pages": info.pages,
        "chunks": info.chunks,
        "size": info.size,
        "sha256": info.sha256,
        "modified": info.modified,
        "indexed": info.indexed,
        "metadata": dict(info.metadata),
        "problems": [of_problem(each) for each in info.problems],
    }


def of_document(document: Document) -> Json:
    """A document with its text and landmarks."""
    return {
        "source": document.source,
        "media_type": document.media_type,
        "title": document.title,
        "sha256": document.sha256,
        "metadata": dict(document.metadata),
        "page_starts": list(document.page_starts),
        "headings": [{"start": each.start, "level": each.level, "text": each.text} for each in document.headings],
        "text": document.text,
    }


def of_status(status: IndexStatus) -> Json:
    """The index as a whole."""
    return {
        "path": status.path,
        "format": status.format,
        "generation": status.generation,
        "documents": status.documents,
        "chunks": status.chunks,
        "vectors": status.vectors,
        "coded": status.coded,
        "recall": status.recall,
        "other_vectors": status.other_vectors,
        "by_words": status.by_words,
        "failed": status.failed,
        "incomplete": status.incomplete,
        "size": status.size,
        "embedding_model": status.embedding_model,
        "document_prefix": status.document_prefix,
        "query_prefix": status.query_prefix,
        "query_model": status.query_model,
        "dimension": status.dimension,
        "created": status.created,
        "changed": status.changed,
        "roots": list(status.roots),
    }


def of_finding(finding: Finding) -> Json:
    """One thing that a check looked at."""
    return {"subject": finding.subject, "ok": finding.ok, "message": finding.message, "hint": with_index(finding.hint)}


def of_remote_file(file: RemoteFile) -> Json:
    """A file that a service keeps."""
    return {
        "id": file.id,
        "name": file.name,
        "size": file.size,
        "created": file.created,
        "purpose": file.purpose,
        "access": file.access,
    }


def of_image(path: str, image: Image) -> Json:
    """A picture that was drawn and saved."""
    return {
        "path": path,
        "size": len(image.data),
        "media_type": image.media_type,
        "text": image.text,
        "revised_prompt": image.revised_prompt,
    }
