"""list, remove, status, doctor, config and completion."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import unicodedata
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from shell import LEASE, MANUAL, Cli, dialogue, process

import ragkit
from ragkit.store.local import LocalStore
from ragkit.store.sizes import Sizes


def test_list_names_the_documents_and_their_troubles(cli: Cli, shelf: Path) -> None:
    """`list` shows every document, `--failed` those of which something is missing, -w those that fulfil it."""
    listed = {row.split()[0] for row in cli("list", "-i", shelf).out.splitlines()}
    assert {"contracts/lease.md", "kettle.md", "windows.txt"} <= listed
    failed = cli("list", "--failed", "-i", shelf)
    assert "letter.doc   .doc is not supported; save it as .docx" in failed.out
    assert "kettle.md" not in failed.out
    assert cli("list", "-w", "source=contracts/*", "-i", shelf).out.split()[0] == "contracts/lease.md"


def test_remove_asks_first_and_can_be_rehearsed(cli: Cli, docs: Path) -> None:
    """Without a terminal to ask at, --yes is needed; --dry-run names and keeps; then the document is gone."""
    cli("index", docs)
    refused = process("remove", "contracts/*", stdin=b"")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr.decode()
    assert cli("remove", "contracts/*", "--dry-run").out == "contracts/lease.md\n"
    assert "lease.md" in cli("list").out
    run = cli("remove", "contracts/*", "-y")
    assert (run.code, run.out) == (0, "contracts/lease.md\n")
    assert run.err == "Removed 1 document\n"
    assert "lease.md" not in cli("list").out + cli("search", "залог").out
    assert cli("remove", "contracts/*", "-y").code == 1


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_no_is_an_answer(cli: Cli, docs: Path) -> None:
    """At a terminal `remove` asks; after "n" the document stays, the exit code is 1 and nothing was interrupted."""
    cli("index", docs)
    code, written = dialogue(b"n\n", "remove", "kettle.md")
    assert code == 1
    assert b"Nothing removed." in written
    assert b"nterrupted" not in written
    assert "kettle.md" in cli("list").out
    assert dialogue(b"y\n", "remove", "kettle.md")[0] == 0
    assert "kettle.md" not in cli("list").out


@pytest.mark.parametrize(
    "arguments",
    [["show", "nowhere.md"], ["show", "999999"], ["remove", "nowhere.md", "-y"], ["remove", "kettle.md", "no*", "-y"]],
)
def test_what_is_not_in_the_index_fails_alike(cli: Cli, shelf: Path, arguments: list[str]) -> None:
    """A name or number that the index does not have: exit code 1, named with a hint; nothing is removed."""
    run = cli(*arguments, "-i", shelf)
    assert (run.code, run.out) == (1, "")
    assert arguments[-2 if "-y" in arguments else -1] in run.err
    assert "Hint: " in run.err
    as_json = cli(*arguments, "--json", "-i", shelf)
    assert (as_json.code, as_json.out) == (1, "")
    assert json.loads(as_json.err)["error"]["code"] == "not_indexed"
    assert "kettle.md" in cli("list", "-i", shelf).out


def test_a_name_with_brackets_is_a_name(cli: Cli, tmp_path: Path) -> None:
    """lease[1].md is removed by its name, though as a pattern that would be lease1.md, which stays."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "lease[1].md").write_text(LEASE, "utf-8")
    (tmp_path / "docs" / "lease1.md").write_text(MANUAL, "utf-8")
    cli("index", tmp_path / "docs")
    assert cli("remove", "lease[1].md", "-y").out == "lease[1].md\n"
    assert [row.split()[0] for row in cli("list").out.splitlines()] == ["lease1.md"]


def test_a_condition_may_be_a_name_with_brackets(cli: Cli, tmp_path: Path) -> None:
    """`-w source=lease[1].md` finds the file of that name, beside what the pattern matches; metadata likewise."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "lease[1].md").write_text(LEASE, "utf-8")
    (tmp_path / "docs" / "lease[1].md.meta.json").write_text('{"case": "A[7]"}', "utf-8")
    (tmp_path / "docs" / "kettle.md").write_text(MANUAL, "utf-8")
    cli("index", tmp_path / "docs")
    for condition in ("source=lease[1].md", "case=A[7]", "case=A*", "source=lease*"):
        run = cli("list", "-w", condition)
        assert [row.split()[0] for row in run.out.splitlines()] == ["lease[1].md"], condition


@pytest.mark.parametrize(("stored", "typed"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_a_name_is_found_however_its_letters_are_written(cli: Cli, tmp_path: Path, stored: str, typed: str) -> None:
    """macOS writes й of a file's name as two characters, a keyboard types one; as a name and in a pattern."""
    (tmp_path / "docs").mkdir()
    name = unicodedata.normalize(stored, "район.md")
    (tmp_path / "docs" / name).write_text(LEASE, "utf-8")
    (tmp_path / "docs" / "kettle.md").write_text(MANUAL, "utf-8")
    cli("index", tmp_path / "docs")
    here = unicodedata.normalize(typed, "район.md")
    for condition in (here, here.replace("он", "*"), f"*{here[2:]}"):
        assert [row.split()[0] for row in cli("list", "-w", f"source={condition}").out.splitlines()] == [name]
        assert [row.split()[0] for row in cli("list", "-w", f"source!={condition}").out.splitlines()] == ["kettle.md"]
        assert cli("remove", condition, "--dry-run").out == f"{name}\n"
    assert LEASE.splitlines()[0] in cli("show", here).out
    assert cli("remove", here, "-y").out == f"{name}\n"
    assert [row.split()[0] for row in cli("list").out.splitlines()] == ["kettle.md"]


def test_status_tells_which_folders_are_not_there(
    cli: Cli, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was renamed is another one; each is shown as it is reached from here, wherever the index lies."""
    index = tmp_path / "kept" / "index"
    cli("index", docs, "-i", index)
    docs.rename(tmp_path / "letters")
    cli("index", tmp_path / "letters", "-i", index)
    monkeypatch.chdir(tmp_path)
    folders = next(line for line in cli("status", "-i", index).out.splitlines() if line.startswith("folders"))
    assert folders.split("  ")[-1].strip() == "docs (not there; its documents stay until they are removed), letters"
    docs.write_text("a file in its place", "utf-8")
    assert "docs (not there" in cli("status", "-i", index).out


def test_a_folder_of_which_nothing_is_left_is_forgotten(cli: Cli, docs: Path, tmp_path: Path) -> None:
    """So names without a prefix are free for the next one; one of which something is left stays."""
    index = tmp_path / "index"
    cli("index", docs, "-i", index)
    docs.rename(tmp_path / "letters")
    cli("remove", "contracts/*", "-y", "-i", index)
    assert "docs (not there" in cli("status", "-i", index).out
    cli("remove", "*", "-y", "-i", index)
    assert "none" in next(line for line in cli("status", "-i", index).out.splitlines() if line.startswith("folders"))
    cli("index", tmp_path / "letters", "-i", index)
    assert "contracts/lease.md" in cli("list", "-i", index).out.split()


@pytest.mark.parametrize("condition", ["source=*.doc", "type=doc", "source!=*.md", "modified>2001-01-01", "title!=x"])
def test_files_that_could_not_be_read_fulfil_conditions_too(cli: Cli, shelf: Path, condition: str) -> None:
    """By their name and time; a key that they lack is no reason to fulfil a condition, nor to break one with !=."""
    assert "letter.doc" in cli("list", "--failed", "-w", condition, "-i", shelf).out


@pytest.mark.parametrize("condition", ["source=*.md", "type!=doc", "modified<2001-01-01", "media_type>a", "title=x"])
def test_files_that_could_not_be_read_break_conditions_too(cli: Cli, shelf: Path, condition: str) -> None:
    assert "letter.doc" not in cli("list", "--failed", "-w", condition, "-i", shelf).out


def test_a_name_comes_before_another_that_looks_the_same(cli: Cli, tmp_path: Path) -> None:
    """Both may lie in one folder."""
    (tmp_path / "docs").mkdir()
    names = [unicodedata.normalize(form, "район.md") for form in ("NFC", "NFD")]
    for name in names:
        (tmp_path / "docs" / name).write_text(LEASE, "utf-8")
    if len(list((tmp_path / "docs").iterdir())) < len(names):
        pytest.skip("this file system takes them for one name")
    cli("index", tmp_path / "docs")
    for name in names:
        assert cli("remove", name, "--dry-run").out == f"{name}\n"


def test_many_documents_are_removed_at_once(tmp_path: Path) -> None:
    """In one commit, which an interrupt cannot break in two."""
    with ragkit.open(tmp_path / "index") as rag:
        rag.add(ragkit.Document(name, name) for name in ("a/1", "a/2", "b", "c"))
        before = rag.status().generation
        assert rag.remove("a/*", "a/1", "b", "nothing") == 3
        assert rag.status().generation == before + 1
        assert [info.source for info in rag.documents()] == ["c"]


def test_a_file_that_failed_can_be_removed(cli: Cli, docs: Path) -> None:
    """What `list` shows can be removed by that name or by a pattern, also where nothing of it could be read."""
    cli("index", docs)
    assert cli("remove", "*.doc", "--dry-run").out == "letter.doc\n"
    run = cli("remove", "letter.doc", "-y")
    assert (run.code, run.out) == (0, "letter.doc\n")
    assert "letter.doc" not in cli("list").out
    assert cli("status", "--json").json["failed"] == 0


def test_status_counts_and_names_the_model(cli: Cli, shelf: Path) -> None:
    """`status` says how much is indexed, from where, by which model."""
    run = cli("status", "-i", shelf)
    status = cli("status", "-i", shelf, "--json").json
    assert status["documents"] == 3
    assert status["failed"] == 1
    assert str(status["embedding_model"]) in run.out


def test_status_and_list_count_the_same_troubles(cli: Cli, docs: Path) -> None:
    """A file that gave nothing, one that is indexed but for a page, and one that cannot be read any more."""
    shutil.copy(Path(__file__).parents[2] / "sample_docs" / "akt-vozvrata.pdf", docs)
    (docs / "torn.pdf").write_bytes(b"no PDF")
    cli("index", docs)
    (docs / "kettle.md").write_bytes(b"\xff\xfe\x00\xd8" * 40)
    cli("index", docs)
    failed = cli("list", "--failed")
    run = cli("status", "-i", ".ragkit")
    status = cli("status", "--json").json
    listed = {row.split()[0] for row in failed.out.splitlines()}
    assert {"akt-vozvrata.pdf", "letter.doc", "torn.pdf"} <= listed
    assert status["incomplete"] == len(listed)
    assert status["failed"] < len(listed)
    assert f"; {len(listed)} with problems (ragkit list -i .ragkit --failed)" in run.out


def test_an_unchanged_file_with_a_problem_has_its_chunks(cli: Cli, docs: Path) -> None:
    """`index` says again what `list` says of it."""
    shutil.copy(Path(__file__).parents[2] / "sample_docs" / "akt-vozvrata.pdf", docs)
    cli("index", docs)
    files = cli("index", docs, "--json").json["folders"][0]["files"]  # type: ignore[index]
    [again] = [each for each in files if each["status"] == "unchanged"]
    listed = {each["source"]: each for each in cli("list", "--json").json["documents"]}  # type: ignore[attr-defined]
    assert again["chunks"] == listed[again["source"]]["chunks"] == 1


def test_status_calls_an_empty_index_empty(cli: Cli, tmp_path: Path) -> None:
    """Nothing is blank, and no vectors have no dimensions."""
    (tmp_path / "docs").mkdir()
    cli("index", "docs")
    rows = {row[:18].strip(): row[18:] for row in cli("status").out.splitlines()}
    assert rows["documents"] == "0: the index is empty"
    assert (rows["vectors"], rows["embedding model"], rows["changed"]) == ("none", "none yet", "never")
    assert "vector search" not in rows


def test_status_tells_where_vectors_repeat_the_words(cli: Cli, tmp_path: Path) -> None:
    """Offline vectors are searched by themselves where they are few, and no longer where they are many."""
    for many, said in ((40, "exact"), (5000, "only what words find")):
        with LocalStore(tmp_path / str(many)).writing() as writer:
            writer.set_model("ragkit-offline/1-8", 8)
            rows = np.random.default_rng(0).standard_normal((many, 8)).astype(np.float32)
            writer.add_vectors([str(i).encode() for i in range(many)], rows)
        run = cli("status", "-i", str(many))
        assert f"vector search     {said}" in run.out
        assert cli("status", "-i", str(many), "--json").json["by_words"] is (said != "exact")


def test_status_tells_how_vectors_are_found(cli: Cli, shelf: Path, tmp_path: Path) -> None:
    """Exactly, in a small index; by codes in a large one, with the recall that was measured."""
    assert "exact" in cli("status", "-i", shelf).out
    vectors = np.random.default_rng(0).standard_normal((500, 64)).astype(np.float32)
    with LocalStore(tmp_path / "large", approximate_from=400, sizes=Sizes(seal=100)).writing() as writer:
        writer.set_model("given/1", 64)
        writer.add_vectors([str(i).encode() for i in range(500)], vectors)
    status = cli("status", "-i", tmp_path / "large", "--json").json
    assert (status["coded"], status["recall"]) == (500, 1.0)
    assert "by codes, which find 100.0% of the ten nearest" in cli("status", "-i", tmp_path / "large").out


def test_doctor_finds_a_sound_index_sound(cli: Cli, shelf: Path) -> None:
    """On a sound index every finding is ok and the exit code is 0."""
    run = cli("doctor", "-i", shelf)
    assert run.code == 0
    assert "vectors in 1 part\n" in run.out
    assert "wrong" not in run.out
    assert "The index is sound." in run.err


def flip_a_bit_of_text(catalog: Path, source: str) -> None:
    """In the bytes of the file, as a disk would do it."""
    with closing(sqlite3.connect(catalog)) as db:
        [(id,)] = db.execute("SELECT id FROM document WHERE source = ?", (source,)).fetchall()
        [(body,)] = db.execute("SELECT body FROM text WHERE id >> 20 = ?", (id,)).fetchall()
    stored = catalog.read_bytes()
    kept = body if isinstance(body, bytes) else body.encode()
    assert stored.count(kept) == 1
    at = stored.index(kept) + len(kept) // 2
    catalog.write_bytes(stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :])


def test_doctor_finds_a_flipped_bit(cli: Cli, docs: Path, tmp_path: Path) -> None:
    """One changed bit in the stored text is found, with exit code 5 and the command that mends it."""
    cli("index", docs)
    catalog = tmp_path / ".ragkit" / "catalog.sqlite"
    flip_a_bit_of_text(catalog, "kettle.md")
    run = cli("doctor", "--data")
    assert run.code == 5
    assert "wrong" in run.out
    assert "run: ragkit doctor --repair" in run.out
    found = [cli("doctor", "--subset", f"{n}/3").code for n in (1, 2, 3)]
    assert sorted(set(found)) == [0, 5]


def test_doctor_repairs_and_says_what_it_could_not_save(cli: Cli, docs: Path, tmp_path: Path) -> None:
    """A document whose text is damaged is taken out, named with the command that reads it again; then all is well."""
    cli("index", docs)
    catalog = tmp_path / ".ragkit" / "catalog.sqlite"
    flip_a_bit_of_text(catalog, "kettle.md")
    run = cli("doctor", "--repair")
    assert run.code == 5
    assert f"kettle.md was taken out: its text is damaged\n       run: ragkit index {docs}" in run.out
    assert cli("index", docs).code == 3
    assert cli("doctor", "--data").code == 0
    assert cli("search", "citric acid", "--json").json["hits"][0]["source"] == "kettle.md"  # type: ignore[index]


def test_what_is_to_be_run_next_names_the_index_that_was_named(cli: Cli, docs: Path, tmp_path: Path) -> None:
    """Without -i a command would act on the nearest index: on another one, where -i was given; tls acts on none."""
    other = tmp_path / "the other"
    assert "Next: ragkit ask -i 'the other' " in cli("index", docs, "-i", "the other").err
    for at in (["-i", "nowhere"], ["--index=nowhere"]):
        missing = cli("search", "x", *at)
        assert "Hint: make one: ragkit index -i nowhere FOLDER" in missing.err
    assert json.loads(cli("show", "x", "-i", "the other", "--json").err)["error"]["hint"] == (
        "see what is: ragkit list -i 'the other'"
    )
    flip_a_bit_of_text(other / "catalog.sqlite", "kettle.md")
    assert "run: ragkit doctor -i 'the other' --repair\n" in cli("doctor", "--data", "-i", "the other").out
    found = cli("show", "kettle.md", "-i", "the other")
    assert found.code == 5
    assert (
        "ragkit doctor -i 'the other' --data; save what can be saved: ragkit doctor -i 'the other' --rep" in found.err
    )
    findings = cli("doctor", "--repair", "--json", "-i", "the other").json["findings"]
    assert f"ragkit index -i 'the other' {docs}" in [each["hint"] for each in findings]  # type: ignore[attr-defined]
    assert "Hint: make one: ragkit index FOLDER" in cli("search", "x").err  # what was named before is forgotten


def test_doctor_has_nothing_against_a_word_index_that_is_not_there(cli: Cli, docs: Path, tmp_path: Path) -> None:
    """Whoever deleted it, or copied the index without it, reads what happens next."""
    cli("index", docs)
    shutil.rmtree(tmp_path / ".ragkit" / "lexical")
    run = cli("doctor")
    assert run.code == 0
    assert "word index: it is not there: the next search makes it" in run.out


def test_doctor_repairs_within_a_limit(cli: Cli, docs: Path) -> None:
    """A limit is for a repair, which may have to embed."""
    cli("index", docs)
    assert cli("doctor", "--repair", "--max-tokens", "0").code == 0
    run = cli("doctor", "--max-tokens", "0")
    assert run.code == 2
    assert "--repair" in run.err


def test_doctor_refuses_a_part_that_is_none(cli: Cli, shelf: Path) -> None:
    """0/7 and 8/7 are mistakes of usage."""
    assert cli("doctor", "--subset", "8/7", "-i", shelf).code == 2
    assert cli("doctor", "--subset", f"1/{'7' * 5000}", "-i", shelf).code == 2


def test_config_says_where_each_value_came_from(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting with value and origin, the command line's included."""
    (tmp_path / "ragkit.toml").write_text("chunk_size = 500\n", "utf-8")
    monkeypatch.setenv("RAGKIT_LIMIT", "3")
    rows = {row.split()[0]: " ".join(row.split()[1:]) for row in cli("config", "-i", "x").out.splitlines()}
    assert rows["limit"] == "3 environment RAGKIT_LIMIT"
    assert rows["chunk_size"] == f"500 {tmp_path / 'ragkit.toml'}"
    assert rows["mode"] == "hybrid default"
    assert rows["index"] == f"{tmp_path / 'x'} command line"


def test_completion_completes_commands_and_options(cli: Cli) -> None:
    """The shell's question is answered by the program itself; the script asks it."""
    assert "_RAGKIT_COMPLETE=bash_complete" in cli("completion", "bash").out
    words = {"COMP_WORDS": "ragkit se", "COMP_CWORD": "1", "_RAGKIT_COMPLETE": "bash_complete"}
    assert process(**words).stdout.split() == [b"plain,search"]
    words = {"COMP_WORDS": "ragkit search --mo", "COMP_CWORD": "2", "_RAGKIT_COMPLETE": "bash_complete"}
    assert process(**words).stdout.split() == [b"plain,--mode"]
