"""Evaluation on a user's own documents: what a search finds, what answers say, and the index as a picture.

    from ragkit.evaluation import evaluate, judgements, pages_by, read_questions

    queries, qrels = judgements(read_questions("questions.jsonl"))
    with ragkit.open() as rag:
        run = evaluate(rag.search, queries, qrels, pages=pages_by(rag.document))
    print(run.summary()["ndcg@10"])

It takes searches and documents as callables, so it can measure what is not ragkit. docs/evaluation.md tells more.
"""

from ragkit.evaluation.answers import AnswerScores, score_answers
from ragkit.evaluation.beir import Beir, read_beir
from ragkit.evaluation.drafting import Drafts, draft_questions
from ragkit.evaluation.intervals import Difference, Interval, difference, interval
from ragkit.evaluation.measures import mrr, ndcg, recall
from ragkit.evaluation.questions import Question, judgements, read_questions, write_questions
from ragkit.evaluation.retrieval import Evaluation, compare, evaluate, pages_by

__all__ = [
    "AnswerScores",
    "Beir",
    "Difference",
    "Drafts",
    "Evaluation",
    "Interval",
    "Question",
    "compare",
    "difference",
    "draft_questions",
    "evaluate",
    "interval",
    "judgements",
    "mrr",
    "ndcg",
    "pages_by",
    "read_beir",
    "read_questions",
    "recall",
    "score_answers",
    "write_questions",
]
