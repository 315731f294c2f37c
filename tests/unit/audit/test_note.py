"""Notes, checkpoints, cosignatures and proofs are C2SP's, byte for byte."""

import base64

import aics_tlog
import pytest
from aics_tlog.cosign import cosignature_message
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from daypass.audit.checkpoint import (
    Checkpoint,
    Proof,
    cosign,
    cosigned_at,
    open_checkpoint,
    parse_checkpoint,
    parse_proof,
    sign_checkpoint,
    verify_proof,
)
from daypass.audit.note import (
    COSIGNATURE,
    Note,
    NoteError,
    Signature,
    SignerKey,
    VerifierKey,
    parse_note,
    require_signed,
    sign_note,
)
from daypass.audit.tree import inclusion_proof, leaf_hash, node_hash

# Of the documentation of golang.org/x/mod/sumdb/note, which made the format (BSD-3-Clause).
GO_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""  # noqa: E501 - as published
# Of C2SP tlog-cosignature: the example, whose timestamp is said to be 1679315147.
SPEC_COSIGNED = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501 - as published
LOG = SignerKey("log.example/daypass", bytes(range(32)))
WITNESS = SignerKey("witness.example/w1", bytes(range(32, 64)), COSIGNATURE)
CHECKPOINT = Checkpoint(LOG.name, 3, leaf_hash(b"root"))


def test_the_published_note() -> None:
    key = SignerKey.parse(GO_PRIVATE)
    assert key.text() == GO_PRIVATE
    assert str(key.verifier) == GO_PUBLIC
    note = parse_note(GO_NOTE)
    assert str(note) == GO_NOTE
    require_signed(note, [VerifierKey.parse(GO_PUBLIC)])
    assert str(sign_note(note.text, [key])) == GO_NOTE


def test_the_published_checkpoint_and_cosignature() -> None:
    note = parse_note(SPEC_COSIGNED)
    assert str(note) == SPEC_COSIGNED
    found = parse_checkpoint(note.text)
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20852163)
    assert found.text() == note.text
    witness = note.signatures[1]
    assert int.from_bytes(witness.data[:8], "big") == 1679315147
    assert len(witness.data) == 72


def test_checkpoints_and_cosignatures_are_those_others_make() -> None:
    note = cosign(sign_checkpoint(CHECKPOINT, [LOG]), WITNESS, 1767000000)
    private = Ed25519PrivateKey.from_private_bytes(LOG.seed)
    theirs = aics_tlog.Checkpoint(LOG.name, 3, CHECKPOINT.root)
    signed = aics_tlog.sign_checkpoint(theirs, private, LOG.name)
    assert signed.serialise() == str(sign_checkpoint(CHECKPOINT, [LOG]))
    result = aics_tlog.verify_checkpoint(
        aics_tlog.parse_note(str(note)),
        aics_tlog.parse_vkey(str(LOG.verifier)),
        [aics_tlog.parse_vkey(str(WITNESS.verifier))],
        quorum=1,
    )
    assert result.ok
    assert cosigned_at(note, WITNESS.verifier) == 1767000000
    message = cosignature_message(1767000000, LOG.name, 3, CHECKPOINT.root)
    assert WITNESS.verifier.verifies(message, note.signatures[1].data[8:])


def test_a_second_cosignature_takes_the_place_of_the_first() -> None:
    note = cosign(cosign(sign_checkpoint(CHECKPOINT, [LOG]), WITNESS, 1), WITNESS, 2)
    assert len(note.signatures) == 2
    assert cosigned_at(note, WITNESS.verifier) == 2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda t: t.replace("\n3\n", "\n4\n"), "is not of this text"),
        (lambda t: t.replace(f"— {LOG.name}", "— other.example/log"), "nobody who is trusted"),
        (lambda t: t.partition("\n\n")[0] + "\n", "an empty line, and signatures"),
        (lambda t: t + "\n", "an empty line, and signatures"),
        (lambda t: t.replace("\n3\n", "\n\x013\n"), "control characters"),
        (lambda t: t[:-3] + "\n", "base64"),
    ],
)
def test_a_changed_checkpoint_is_none(spoil: object, says: str) -> None:
    text = spoil(str(sign_checkpoint(CHECKPOINT, [LOG])))  # type: ignore[operator]
    with pytest.raises(NoteError, match=says):
        open_checkpoint(parse_note(text), [LOG.verifier], LOG.name)


def test_a_checkpoint_of_another_log_under_the_same_key_is_not_this_ones() -> None:
    other = sign_checkpoint(Checkpoint("other.example/log", 3, CHECKPOINT.root), [LOG])
    with pytest.raises(NoteError, match=r"not of log\.example/daypass"):
        open_checkpoint(other, [LOG.verifier], LOG.name)


def test_one_wrong_signature_of_a_trusted_key_outweighs_a_right_one() -> None:
    note = sign_checkpoint(CHECKPOINT, [LOG])
    wrong = Signature(LOG.name, LOG.verifier.id, bytes(64))
    with pytest.raises(NoteError, match="is not of this text"):
        require_signed(Note(note.text, (*note.signatures, wrong)), [LOG.verifier])


def test_a_cosignature_is_no_signature_of_the_log_nor_the_other_way_round() -> None:
    as_log = SignerKey(LOG.name, LOG.seed, COSIGNATURE)
    note = sign_checkpoint(CHECKPOINT, [LOG])
    with pytest.raises(NoteError, match="has not cosigned"):
        cosigned_at(note, as_log.verifier)
    with pytest.raises(NoteError, match="nobody who is trusted"):
        require_signed(cosign(parse_note(GO_NOTE), as_log, 5), [LOG.verifier])
    with pytest.raises(NoteError, match="not for cosignatures"):
        cosigned_at(note, LOG.verifier)


@pytest.mark.parametrize("size", ["03", "-3", "+3", "3 ", "٣", "", "9223372036854775808"])
def test_sizes_are_written_one_way(size: str) -> None:
    root = base64.b64encode(CHECKPOINT.root).decode()
    with pytest.raises(NoteError):
        parse_checkpoint(f"{LOG.name}\n{size}\n{root}\n")


def test_keys_do_not_show_themselves() -> None:
    assert "seed" not in repr(LOG)
    for wrong in (LOG.text()[:-6] + "AAAAA=", LOG.text().replace("daypass", "other"), "x+y"):
        with pytest.raises(NoteError) as caught:
            SignerKey.parse(wrong)
        assert base64.b64encode(b"\x01" + LOG.seed).decode()[:20] not in str(caught.value)


def test_a_proof_is_text_that_anybody_checks() -> None:
    leaves = [b"a", b"b", b"c"]
    hashes = [leaf_hash(each) for each in leaves]
    root = node_hash(node_hash(hashes[0], hashes[1]), hashes[2])
    note = sign_checkpoint(Checkpoint(LOG.name, 3, root), [LOG])

    def node(level: int, index: int) -> bytes:
        return hashes[index] if level == 0 else node_hash(hashes[0], hashes[1])

    proof = Proof(1, tuple(inclusion_proof(1, 3, node)), note, b"what it is of")
    text = str(proof)
    assert text.startswith("c2sp.org/tlog-proof@v1\nextra d2hhdCBpdCBpcyBvZg==\nindex 1\n")
    assert str(parse_proof(text)) == text
    assert verify_proof(parse_proof(text), b"b", [LOG.verifier], LOG.name).size == 3
    assert aics_tlog.verify_leaf_inclusion(b"b", 1, 3, list(parse_proof(text).path), root)
    for wrong, leaf in ((text, b"a"), (text.replace("index 1", "index 2"), b"b")):
        with pytest.raises(NoteError, match="does not have this one"):
            verify_proof(parse_proof(wrong), leaf, [LOG.verifier], LOG.name)


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_nothing_that_is_read_raises_anything_else(given_text: str | bytes) -> None:
    text = given_text if isinstance(given_text, str) else given_text.decode("latin-1")
    for read in (parse_note, parse_checkpoint, parse_proof, VerifierKey.parse, SignerKey.parse):
        try:
            read(text)
        except NoteError:
            continue
