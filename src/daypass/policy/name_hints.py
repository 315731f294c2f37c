"""What a column's name says about its content, in a dozen languages: pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TEXTS: Final = frozenset({"text", "other"})
_NUMBERS: Final = frozenset({"integer", "decimal", "float"})
_DATES: Final = frozenset({"date", "timestamp"})


@dataclass(frozen=True, slots=True)
class Hint:
    """What a name suggests, how surely (0 to 1), and the words to say so."""

    tag: str
    confidence: float
    says: str


@dataclass(frozen=True, slots=True)
class _Rule:
    tag: str
    says: str
    confidence: float
    families: frozenset[str]
    words: re.Pattern[str]


def _rule(
    tag: str, says: str, confidence: float, families: frozenset[str], *alternatives: str
) -> _Rule:
    # Whole words of a name, which is written with underscores between them.
    pattern = re.compile(rf"(?:^|_)(?:{'|'.join(alternatives)})(?:_|$)")
    return _Rule(tag, says, confidence, families, pattern)


# The first that fits is taken: the narrower stand before the wider.
_RULES: Final = (
    _rule("secret", "a secret", 0.8, _TEXTS | {"bytes", "integer"},
          r"pass_?words?", "passwd", "pwd", "passphrase", "secrets?", r"api_?keys?", "private_key",
          "access_key", "secret_key", "signing_key", "encryption_key", "client_secret",
          r"(?:access|refresh|auth|session|bearer|api|reset|id)_token", "token", "credentials?",
          "salt", "cvv2?", "cvc2?", "pin_?code", "otp_?secret", "mfa_secret", "totp",
          "recovery_codes?", "wachtwoord", "passwor[dt]", "kennwort", "contrasena",
          "mot_de_passe", "haslo", "senha", "losenord", "salasana", "connection_string", "dsn"),
    _rule("pii.email", "an e-mail address", 0.75, _TEXTS,
          "e_?mails?", "mails?", r"e_?mail_?addr(?:ess)?", "correo", "correo_electronico",
          "courriel", "posta_elettronica", "e_?post", "epostadress", "sahkoposti", "email_lower"),
    _rule("pii.card_expiry", "when a card expires", 0.7, _TEXTS | _DATES | _NUMBERS,
          r"(?:cards?|cc|credit_card)_(?:exp|expires|expiry|expiration|valid|valid_until).*",
          r"exp(?:iry)?_(?:month|year)"),
    _rule("pii.card", "a payment card", 0.75, _TEXTS | _NUMBERS,
          r"(?:credit_|debit_|payment_|bank_)?card_?(?:number|no|num|nr|pan)", "creditcard",
          "credit_card", "cc_?(?:number|no|num|nr)", "ccn", "pan", "kreditkarten?_?(?:nummer|nr)?",
          "kartennummer", "carte_bancaire", "numero_carte", "tarjeta", "numero_tarjeta",
          "carta_di_credito", "kaartnummer", "numer_karty", "kortnummer"),
    _rule("pii.iban", "a bank account", 0.75, _TEXTS,
          "ibans?", r"bank_?accounts?(?:_(?:number|no|nr))?", r"account_(?:number|no|nr)",
          "konto_?nummer", "kontonr", "rekening_?nummer", "numero_de_cuenta", "cuenta_bancaria",
          "numero_compte", "rib", "numer_konta", "tilinumero", "routing_number", "sort_code"),
    _rule("pii.national_id", "a national identity or tax number", 0.75, _TEXTS | _NUMBERS,
          "ssn", "social_security(?:_.*)?", "sin", r"national_?(?:id|identity|insurance)(?:_.*)?",
          "nino", "bsn", "burgerservicenummer", "sofinummer", "pesel", "personnummer", "personnr",
          "cpr(?:_.*)?", "hetu", "henkilotunnus", "fodselsnummer", "fnr", "dni", "nie", "nif",
          "codice_fiscale", "cod_fiscale", "nir", "insee", "numero_(?:de_)?secu(?:rite)?(?:_.*)?",
          "rijksregister(?:_?nummer)?", "steuer_?id(?:_.*)?", "steueridentifikationsnummer",
          "steuernummer", "sozialversicherungsnummer", "svnr", "ahv(?:_.*)?", "rodne_cislo",
          "cpf", "curp", "rfc", "aadhaar", "tax_?id", "tax_number", "tin", "passport(?:_.*)?",
          "reisepass(?:_.*)?", "pasaporte", "passeport", "paspoort(?:_.*)?",
          r"(?:id|identity)_?card(?:_.*)?", "ausweis(?:_.*)?", "identity_number",
          r"driv(?:er|ers|ing)_?licen[cs]e(?:_.*)?", "fuhrerschein(?:_.*)?"),
    _rule("pii.birth_date", "a date of birth", 0.75, _TEXTS | _DATES | _NUMBERS,
          r"(?:date_of_)?birth(?:_?(?:date|day|year))?", "born(?:_on)?", "dob", "geburts?.*",
          "geboorte.*", r"(?:date_(?:de_)?)?naissance", r"(?:fecha_(?:de_)?)?nacimiento",
          r"(?:data_(?:di_)?)?nascita", "nascimento", r"(?:data_)?urodzenia", "fodelse.*",
          "fodsel.*", "syntyma.*"),
    _rule("pii.ip", "an IP address", 0.7, _TEXTS,
          r"(?:.*_)?ip(?:v[46])?(?:_?addr(?:ess)?)?", "remote_addr", "ip_adresse"),
    _rule("pii.phone", "a telephone number", 0.7, _TEXTS | {"integer"},
          r"(?:.*_)?(?:tele)?phone(?:_?(?:number|no|nr))?", "tel", "tele[fp]on.*", "telefoon.*",
          r"mobiles?(?:_.*)?", "mobil(?:nummer)?", "handy(?:nummer)?", "gsm", "cell(?:_?phone)?",
          "msisdn", "fax(?:_.*)?", "puhelin.*", "movil", "celular", "portable", "cellulare"),
    _rule("pii.location", "where somebody is", 0.55, _NUMBERS | {"other"},
          "lat", "latitude", "lng", "lon", "longitude", "geo_?(?:point|location)", "coordinates"),
    _rule("pii.address", "a postal address", 0.6, _TEXTS,
          r"(?:.*_)?address(?:_?(?:line)?_?\d)?", "addr", "street(?:_.*)?", "strasse.*", "straat.*",
          "rue", "calle", "ulica", "gata", "house_number", "huisnummer", "hausnummer",
          "post_?codes?", r"postal(?:_?code)?", "zip(?:_?code)?", "plz", "code_postal",
          "codigo_postal", "cap", "kod_pocztowy", "postnummer", "ship_to", "bill_to", "adresse",
          "direccion", "domicilio", "indirizzo", "adres", "osoite", "anschrift", "endereco"),
    _rule("pii.health", "health", 0.7, _TEXTS | {"boolean"},
          "diagnos[ie]s?", "diseases?", "illness", "medications?", "allerg(?:y|ies|ie)",
          "blood_(?:type|group)", "icd(?:_?10)?(?:_.*)?", "disabilit(?:y|ies)", "sick(?:ness)?.*",
          "krankheit.*", "ziekte.*", "maladie", "enfermedad", "malattia", "medical_.*",
          "health_.*", "symptoms?", "prescriptions?"),
    _rule("pii.special", "a special category of personal data", 0.65,
          _TEXTS | {"boolean", "integer"},
          "religion", "ethnicity", "ethnic_.*", "race", "sexual_orientation", "political_.*",
          "trade_union", "gender", "sex", "geschlecht", "geslacht", "sexe", "konfession",
          "biometric.*", "fingerprint_data"),
    _rule("pii.name", "a person's name", 0.7, _TEXTS,
          r"(?:full|first|last|middle|given|family|maiden|birth|legal|display|contact|customer"
          r"|employee|patient|recipient|card_?holder|account_?holder|owner|person|user)_?name",
          "firstname", "lastname", "fullname", "fname", "lname", "surname", "forename",
          "card_?holder", "account_?holder", "holder", "vor_?name", "nach_?name", "familien_?name",
          "kontoinhaber", "voor_?naam", "achter_?naam", "tussenvoegsel", "prenom", "nom",
          "nom_de_famille", "cognome", "nome", "nombre", "nombres", "apellidos?", "imie",
          "imiona", "nazwisko", "for_?namn", "efter_?namn", "for_?navn", "etter_?navn",
          "efternavn", "etunimi", "sukunimi"),
    _rule("pii.username", "a user's name in a system", 0.5, _TEXTS,
          "user_?name", "login", "login_name", "nick_?name", "screen_name", "handle",
          "benutzername", "gebruikersnaam"),
    _rule("pii.device", "somebody's device", 0.5, _TEXTS,
          "user_?agent", "device_id", "mac(?:_?addr(?:ess)?)?", "imei", "imsi", "advertising_id",
          "idfa", "gaid"),
    _rule("money.salary", "pay", 0.75, _NUMBERS | {"other"},
          r"(?:.*_)?salar(?:y|ies)(?:_.*)?", "wages?", "gehalt", "jahresgehalt", "lohn", "salaris",
          "salaire", "sueldo", "stipendio", "salario", "wynagrodzenie", "lon", "bonus(?:es)?",
          "compensation", "pay_?rate", "hourly_rate", "base_pay"),
    _rule("money.credit", "somebody's credit", 0.6, _NUMBERS,
          "credit_(?:limit|score|rating)", "schufa.*", "kreditlimit", "debt", "income"),
    _rule("pii.free_text", "free text", 0.45, _TEXTS,
          "notes?", "comments?", "remarks?", "body", "messages?", "free_?text", "memo",
          "bemerkung(?:en)?", "anmerkung(?:en)?", "notiz(?:en)?", "opmerking(?:en)?", "notas?",
          "commentaires?", "observaciones", "osservazioni", "uwagi", "bio(?:graphy)?",
          "transcript", "complaint", "feedback", "chat"),
    _rule("pii.copy", "a copy of other rows", 0.5, frozenset({"json", "text"}),
          r"(?:old|new|before|after|previous|changed)_(?:row|values?|data|record|state)",
          "row_data", "snapshot"),
    _rule("pii.profile", "a profile", 0.4, frozenset({"json"}),
          "profile", "person(?:al)?(?:_.*)?", "contacts?", "customer", "user_?(?:info|data)"),
)  # fmt: skip

# What such words end in is a fact about the thing, not the thing.
_ABOUT: Final = re.compile(
    r"_(?:count|verified|confirmed|valid|type|kind|status|format|template|enabled|optin|opt_in|sent"
    r"|bounced|length|domain|provider|required|policy|version|last4|last_four|bin|brand|country"
    r"|currency|subject_id|template_id|id)$|^(?:is|has|num|count|max|min)_"
)
_PEOPLE: Final = re.compile(
    r"(?:^|_)(?:customers?|clients?|users?|employees?|persons?|people|contacts?|patients?|members?"
    r"|subscribers?|leads?|guests?|students?|teachers?|staff|accounts?_holders?|kunden?|klanten?"
    r"|mitarbeiter|medewerkers?|personen|clientes?|empleados?|personnes?|salaries|dipendenti"
    r"|klienci|pracownicy|kunder|anstallda|candidates?|applicants?|citizens?|tenants_people)(?:_|$)"
)


def words_of(name: str) -> str:
    """Return a name as lower-case words joined by underscores: `Customer No.` is `customer_no`."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ł", "l"))
    plain = plain.replace("ø", "o").replace("Ø", "O").replace("æ", "ae")
    ascii_only = "".join(c for c in plain if not unicodedata.combining(c))
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", ascii_only)
    return re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")


def name_hint(name: str, family: str, relation: str = "") -> Hint | None:
    """Return what a column's name suggests for a type of its family.

    `relation` is the relation's name: in one of people, `name` is a person's.
    """
    words = words_of(name)
    if _ABOUT.search(words) and not re.fullmatch(
        r"(?:national|tax|steuer|device|advertising)_?id", words
    ):
        return None
    for rule in _matching(words):
        if family in rule.families:
            return Hint(rule.tag, rule.confidence, rule.says)
    plain = words in ("name", "naam", "imie_i_nazwisko", "namn", "navn", "nimi")
    if plain and family == "text" and _PEOPLE.search(words_of(relation)):
        return Hint("pii.name", 0.6, "a person's name")
    return None


def comment_hint(comment: str, family: str) -> Hint | None:
    """Return what a column's comment suggests, less surely than a name would."""
    for rule in _matching(words_of(comment)):
        # Comments mention many things; only what hardly means anything else counts.
        if family in rule.families and rule.confidence >= 0.7 and rule.tag != "pii.name":
            return Hint(rule.tag, round(rule.confidence - 0.3, 2), rule.says)
    return None


def key_hint(key: str) -> Hint | None:
    """Return what a key of a JSON document suggests."""
    words = words_of(key)
    if _ABOUT.search(words):
        return None
    found = next(_matching(words), None)
    return Hint(found.tag, found.confidence, found.says) if found else None


def _matching(words: str) -> Iterator[_Rule]:
    return (rule for rule in _RULES if rule.words.search(words))
