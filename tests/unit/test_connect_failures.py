"""Why a server lets nobody in, by libpq's own words."""

import pytest

from daypass.connect_failures import ConnectTrouble, connect_trouble, server_said


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ('… port 5432 failed: FATAL:  password authentication failed for user "dp"', "PASSWORD"),
        ("… failed: fe_sendauth: no password supplied", "PASSWORD"),
        ('… failed: FATAL:  database "shopp" does not exist', "NO_DATABASE"),
        ('… failed: FATAL:  role "dp" does not exist', "NO_ROLE"),
        ('… FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "dp"', "NOT_LET_IN"),
        ("… FATAL:  sorry, too many clients already", "FULL"),
        ("… FATAL:  the database system is starting up", "STARTING"),
        ("… failed: server does not support SSL, but SSL was required", "NO_TLS"),
        ("… failed: SSL error: certificate verify failed", "CERTIFICATE"),
        ('server certificate for "a" does not match host name "b"', "CERTIFICATE"),
        ('root certificate file "/root/.postgresql/root.crt" does not exist', "NO_AUTHORITY"),
        ("failed to resolve host 'x': [Errno -2] Name or service not known", "NAME_UNKNOWN"),
        ("… failed: Connection refused", "REFUSED"),
        ("connection timeout expired", "TIMEOUT"),
        ("… failed: No route to host", "NO_ROUTE"),
        ("server closed the connection unexpectedly", "OTHER"),
    ],
)
def test_each_trouble_is_told_from_the_others(text: str, trouble: str) -> None:
    assert connect_trouble(text) is ConnectTrouble[trouble]


def test_only_the_server_s_own_words_are_kept() -> None:
    text = "connection to host=h password=secret failed: FATAL:  too many clients\nDETAIL: more"
    assert server_said(text) == "too many clients"
    assert server_said("Connection refused") == ""
