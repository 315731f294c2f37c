"""Suggested tags: names, values, checksums, and that no sampled value is ever repeated."""

import json

import pytest

from daypass.domain.catalog import Column, ColumnName, Relation, RelationKind, RelationName
from daypass.policy.checksums import NATIONAL_IDS, is_card, is_iban
from daypass.policy.suggest import Suggestion, suggest_tags

SPECIMENS = {
    "Dutch BSNs": ["111222333", "123456782"],
    "Polish PESELs": ["44051401359", "02070803628"],
    "Swedish personnummer": ["811218-9876", "19811218-9876", "8112189876"],
    "Danish CPR numbers": ["070761-4285"],
    "Finnish henkilötunnus": ["131052-308T"],
    "Norwegian fødselsnummer": ["13097248022"],
    "Spanish DNIs or NIEs": ["12345678Z", "X1234567L", "12.345.678-z"],
    "Italian codici fiscali": ["RSSMRA85T10A562S"],
    "French NIRs": ["255081416802538", "2 55 08 14 168 025 38"],
    "Belgian rijksregister numbers": ["85.07.30-033.28", "17073003384"],
    "German Steuer-IDs": ["86095742719", "65929970489"],
    "UK National Insurance numbers": ["AB123456C", "ab 12 34 56 c"],
    "US Social Security numbers": ["219-09-9999"],
    "Swiss AHV numbers": ["756.9217.0769.85"],
}
# One changed digit must be noticed; these have no checksum.
WITHOUT_CHECKSUM = {
    "Danish CPR numbers",
    "UK National Insurance numbers",
    "US Social Security numbers",
}


def test_every_national_id_has_a_specimen() -> None:
    assert SPECIMENS.keys() == NATIONAL_IDS.keys()


@pytest.mark.parametrize("what", SPECIMENS)
def test_knows_valid_national_ids(what: str) -> None:
    assert [value for value in SPECIMENS[what] if not NATIONAL_IDS[what](value)] == []


@pytest.mark.parametrize("what", sorted(SPECIMENS.keys() - WITHOUT_CHECKSUM))
def test_notices_a_changed_last_sign(what: str) -> None:
    for value in SPECIMENS[what]:
        signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if value[-1].isalpha() else "0123456789"
        changed = [value[:-1] + sign for sign in signs if sign != value[-1].upper()]
        accepted = [each for each in changed if NATIONAL_IDS[what](each)]
        assert accepted == []


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("Dutch BSNs", "000000000"),
        ("Dutch BSNs", "11122233"),
        ("Polish PESELs", "44953101350"),
        ("Swedish personnummer", "811318-9874"),
        ("Danish CPR numbers", "320761-4285"),
        ("US Social Security numbers", "666-09-9999"),
        ("US Social Security numbers", "219-00-9999"),
        ("UK National Insurance numbers", "BG123456A"),
        ("German Steuer-IDs", "12345678903"),
        ("Italian codici fiscali", "RSSMRA85T10A562"),
        ("Spanish DNIs or NIEs", "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668Z"),
        ("Dutch BSNs", "\u0661\u0661\u0661\u0662\u0662\u0662\u0663\u0663\u0663"),
    ],
)
def test_rejects_impossible_national_ids(what: str, value: str) -> None:
    assert not NATIONAL_IDS[what](value)


def test_cards_and_ibans() -> None:
    good = ["4111111111111111", "5500 0000 0000 0004", "340000000000009", "6011-0000-0000-0004"]
    assert all(map(is_card, good))
    assert not any(map(is_card, ["4111111111111112", "1234567890123452", "411111", "4" * 40]))
    assert all(map(is_iban, ["NL91ABNA0417164300", "de89 3704 0044 0532 0130 00"]))
    assert not any(map(is_iban, ["NL91ABNA0417164301", "NL91ABNA041716430", "XX91ABNA0417164300"]))


def suggestions(
    columns: dict[str, tuple[str, list[str | None]]], relation: str = "things", comment: str = ""
) -> dict[str, Suggestion]:
    made = Relation(
        name=RelationName("s", relation),
        kind=RelationKind.TABLE,
        owner="o",
        columns=tuple(
            Column(name, at, family, family, comment=comment)
            for at, (name, (family, _)) in enumerate(columns.items(), 1)
        ),
    )
    length = max((len(values) for _, values in columns.values()), default=0)
    rows = [
        tuple(values[at] if at < len(values) else None for _, values in columns.values())
        for at in range(length)
    ]
    return {each.column.name: each for each in suggest_tags(made, rows)}


def suggested(name: str, family: str, values: list[str | None] | None = None, **more: str) -> str:
    found = suggestions({name: (family, values or [])}, **more)
    return found[name].tag if name in found else ""


@pytest.mark.parametrize(
    ("name", "family", "tag"),
    [
        ("email", "text", "pii.email"),
        ("E-Mail", "text", "pii.email"),
        ("userEmail", "text", "pii.email"),
        ("correo_electronico", "text", "pii.email"),
        ("telefoonnummer", "text", "pii.phone"),
        ("mobile_phone", "text", "pii.phone"),
        ("Vorname", "text", "pii.name"),
        ("achternaam", "text", "pii.name"),
        ("prénom", "text", "pii.name"),
        ("apellidos", "text", "pii.name"),
        ("nazwisko", "text", "pii.name"),
        ("geburtsdatum", "date", "pii.birth_date"),
        ("date_de_naissance", "date", "pii.birth_date"),
        ("födelsedatum", "text", "pii.birth_date"),
        ("birth_year", "integer", "pii.birth_date"),
        ("bsn", "integer", "pii.national_id"),
        ("codice_fiscale", "text", "pii.national_id"),
        ("ssn", "text", "pii.national_id"),
        ("Steuer-ID", "text", "pii.national_id"),
        ("card_number", "text", "pii.card"),
        ("card_expires", "date", "pii.card_expiry"),
        ("iban", "text", "pii.iban"),
        ("Straße", "text", "pii.address"),
        ("visitor_ip", "other", "pii.ip"),
        ("password_hash", "text", "secret"),
        ("api_key", "text", "secret"),
        ("salary", "decimal", "money.salary"),
        ("diagnosis", "text", "pii.health"),
        ("notes", "text", "pii.free_text"),
        ("old_row", "json", "pii.copy"),
    ],
)
def test_names_suggest_tags(name: str, family: str, tag: str) -> None:
    assert suggested(name, family) == tag


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("email_verified", "boolean"),
        ("email_sent_at", "timestamp"),
        ("email_count", "integer"),
        ("phone_type", "text"),
        ("is_email", "text"),
        ("card_last4", "text"),
        ("shipping", "text"),
        ("description", "text"),
        ("created_at", "timestamp"),
        ("name", "text"),
        ("id", "integer"),
        ("zipper", "text"),
        ("hotel", "text"),
    ],
)
def test_names_that_only_look_like_it_suggest_nothing(name: str, family: str) -> None:
    assert suggested(name, family) == ""


def test_a_name_is_a_person_s_in_a_table_of_people() -> None:
    assert suggested("name", "text", relation="customers") == "pii.name"
    assert suggested("name", "text", relation="products") == ""


def test_a_comment_can_tell() -> None:
    assert suggested("c7", "text", comment="Dutch BSN (eleven-test)") == "pii.national_id"


EMAILS: list[str | None] = [f"someone{n}@mail{n % 3}.example" for n in range(20)]


@pytest.mark.parametrize(
    ("values", "tag"),
    [
        (EMAILS, "pii.email"),
        ([f"+31 20 555 01{n:02}" for n in range(20)], "pii.phone"),
        ([f"10.0.{n}.7" for n in range(20)], "pii.ip"),
        (["NL91ABNA0417164300", "DE89370400440532013000", "GB82WEST12345698765432"], "pii.iban"),
        (
            [
                "4111111111111111",
                "5555555555554444",
                "340000000000009",
                "4012888888881881",
                "6011111111111117",
            ],
            "pii.card",
        ),
        (["111222333", "123456782", "000000012", "100000009", "987654329"], "pii.national_id"),
        (["Anna Müller", "Jan de Vries", "Maria Rossi", "Q Zzyx", "Paul O'Neill"], "pii.name"),
        ([f"Lindenstraße {n}" for n in range(5, 12)], "pii.address"),
        ([f"eyJhbGciOi{n}.eyJzdWIiOi{n}.abc" for n in range(5)], "secret"),
    ],
)
def test_values_tell_without_a_name(values: list[str | None], tag: str) -> None:
    found = suggestions({"c1": ("text", values)})
    assert found["c1"].tag == tag
    assert found["c1"].confidence > 0.4


@pytest.mark.parametrize(
    "values",
    [
        [str(n) for n in range(100_000_000, 100_000_100)],
        [f"{n}.{n}.{n}" for n in range(20)],
        ["EU", "US", "APAC"] * 5,
        [f"SKU-{n:05}" for n in range(50)],
        ["2024-01-01", "2024-02-01", "2024-03-01"] * 5,
        ["Red Chair", "Blue Table", "Green Lamp", "White Shelf"],
        ["a@b.example"],
        [],
    ],
)
def test_harmless_values_suggest_nothing(values: list[str | None]) -> None:
    assert suggested("c1", "text", values) == ""


def test_name_and_values_together_are_surer_than_either() -> None:
    by_name = suggestions({"email": ("text", [])})["email"]
    by_values = suggestions({"c1": ("text", EMAILS)})["c1"]
    both = suggestions({"email": ("text", EMAILS)})["email"]
    assert both.confidence > max(by_name.confidence, by_values.confidence)
    assert "its name says an e-mail address; 20 of 20" in both.why


def test_values_that_are_something_else_weaken_a_name() -> None:
    with_others = suggestions({"email": ("text", [f"template-{n}" for n in range(20)])})["email"]
    assert with_others.confidence < suggestions({"email": ("text", [])})["email"].confidence
    assert "something else" in with_others.why


def test_dates_spread_like_births() -> None:
    births: list[str | None] = [f"{1940 + 3 * n}-05-17" for n in range(22)]
    found = suggestions({"d": ("date", births), "birth_date": ("date", births)})
    assert (found["d"].tag, found["birth_date"].tag) == ("pii.birth_date",) * 2
    assert found["d"].confidence < 0.5 < found["birth_date"].confidence


def test_free_text_that_holds_addresses_and_numbers() -> None:
    texts: list[str | None] = [f"customer called about order {n} and was happy" for n in range(18)]
    texts += ["please write to ina@mail.example as soon as you can"]
    texts += ["paid by 4111 1111 1111 1111 at the counter in town"]
    found = suggestions({"c9": ("text", texts)})["c9"]
    assert found.tag == "pii.free_text"
    assert found.why == "2 of 20 sampled texts contain card numbers, e-mail addresses"


def test_json_is_told_by_the_paths_most_documents_share() -> None:
    documents: list[str | None] = [
        json.dumps(
            {
                "contact": {"email": f"p{n}@mail.example", "channels": ["a", "b"]},
                "points": n,
                f"p{n}@mail.example": {"email": f"q{n}@mail.example"},
            }
        )
        for n in range(10)
    ]
    found = suggestions({"doc": ("json", documents)})["doc"]
    assert found.tag == "pii.profile"
    assert "contact.email (e-mail addresses)" in found.why
    assert "mail.example" not in found.why


def test_a_json_document_with_nothing_personal_suggests_nothing() -> None:
    documents: list[str | None] = [json.dumps({"theme": "dark", "n": n}) for n in range(10)]
    assert suggested("settings", "json", documents) == ""
    assert suggested("settings", "json", ["{cut short", None]) == ""


def test_why_never_holds_a_sampled_value() -> None:
    sampled: dict[str, tuple[str, list[str]]] = {
        "email": ("text", [str(each) for each in EMAILS]),
        "c2": ("text", ["Anna Meyer", "Peter Vos", "Lars Holm", "Sofia Conti"]),
        "c3": ("text", ["111222333", "123456782", "000000012", "100000009", "987654329"]),
        "body": ("text", ["call me at +31 20 555 0199 before noon please"] * 4),
        "doc": ("json", [json.dumps({"Anna Meyer": {"email": "anna@mail.example"}})] * 2),
    }
    given: dict[str, tuple[str, list[str | None]]] = {
        name: (family, [*values]) for name, (family, values) in sampled.items()
    }
    found = suggestions(given)
    assert found.keys() == sampled.keys()
    for name, (_, values) in sampled.items():
        assert [value for value in values if value in found[name].why] == []
    assert "anna@mail" not in found["doc"].why


def test_derived_columns_take_their_tags_from_elsewhere() -> None:
    base = RelationName("s", "people")
    relation = Relation(
        name=RelationName("s", "v"),
        kind=RelationKind.VIEW,
        owner="o",
        columns=(
            Column("email", 1, "text", "text", derived_from=(ColumnName(base, "email"),)),
            Column("phone", 2, "text", "text"),
        ),
    )
    assert [each.column.name for each in suggest_tags(relation)] == ["phone"]


def test_a_sample_of_some_columns_is_matched_by_name() -> None:
    relation = Relation(
        name=RelationName("s", "t"),
        kind=RelationKind.TABLE,
        owner="o",
        columns=(Column("a", 1, "text", "text"), Column("b", 2, "text", "text")),
    )
    [found] = suggest_tags(relation, [(value,) for value in EMAILS], ["b"])
    assert (found.column, found.tag) == (ColumnName(relation.name, "b"), "pii.email")
