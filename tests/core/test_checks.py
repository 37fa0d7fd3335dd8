"""Each wrong setting is found by its id, named, and comes with a remedy."""

from __future__ import annotations

import pytest

from personalize.core.checks import check_settings

GOOD = {
    "DEBUG": False,
    "SECRET_KEY": "k3" * 30 + "abcdef",
    "HASH_KEY": "h4" * 20,
    "PUBLIC_URL": "https://mail.example.com",
    "HTTPS_ONLY": True,
    "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
    "ALLOWED_HOSTS": ["mail.example.com"],
    "BROKER_URL": "redis://localhost:6379/0",
}


@pytest.fixture
def found(settings):
    def run(**changes):
        for name, value in {**GOOD, **changes}.items():
            setattr(settings, name, value)
        return {message.id.removeprefix("personalize."): message for message in check_settings()}

    return run


def test_good_settings_pass(found):
    assert found() == {}


@pytest.mark.parametrize(
    ("changes", "number", "name"),
    [
        ({"SECRET_KEY": "q7w8e9"}, "E001", "SECRET_KEY"),
        ({"SECRET_KEY": "insecure-" + "x1y2" * 20}, "E001", "SECRET_KEY"),
        ({"SECRET_KEY": "x" * 60}, "W001", "SECRET_KEY"),
        ({"HASH_KEY": ""}, "E002", "HASH_KEY"),
        ({"HASH_KEY": GOOD["SECRET_KEY"]}, "E002", "HASH_KEY"),
        ({"HASH_KEY": "abc"}, "W002", "HASH_KEY"),
        ({"PUBLIC_URL": "mail.example.com"}, "E003", "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://"}, "E003", "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://mail.example.com"}, "E004", "PUBLIC_URL"),
        ({"ALLOWED_HOSTS": ["*"]}, "W003", "ALLOWED_HOSTS"),
        ({"TIME_ZONE": "Mars/Base"}, "E005", "TIME_ZONE"),
        ({"TIME_ZONE": "../etc/passwd"}, "E005", "TIME_ZONE"),
        ({"WRITER_MODEL": "/no/such/folder"}, "E006", "WRITER_MODEL"),
        ({"WRITER_MODEL": "not a model!"}, "E006", "WRITER_MODEL"),
        ({"WRITER_ADAPTER": "./no-such-adapter"}, "E007", "WRITER_ADAPTER"),
        ({"WRITER_DTYPE": "float"}, "E008", "WRITER_DTYPE"),
        ({"WRITER_DEVICE": "gpu"}, "E009", "WRITER_DEVICE"),
        ({"WRITER_CHUNK": 0}, "E010", "WRITER_CHUNK"),
        ({"WRITER_LEASE_SECONDS": 5}, "E010", "WRITER_LEASE_SECONDS"),
        ({"BROKER_URL": "localhost:6379"}, "E011", "BROKER_URL"),
        ({"BROKER_URL": "valkey://localhost"}, "E011", "BROKER_URL"),
        ({"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}}}, "E012", "DATABASE_URL"),
        ({"EMBEDDING_MODEL": "/no/such/folder"}, "E013", "EMBEDDING_MODEL"),
        ({"DELIVERY_LEASE_SECONDS": 60, "EMAIL_TIMEOUT": 60}, "E014", "DELIVERY_LEASE_SECONDS"),
        ({"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}, "W004", "EMAIL_BACKEND"),
    ],
)
@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_each_wrong_setting_is_named_with_a_remedy(changes, number, name, found):
    messages = found(**changes)

    assert list(messages) == [number]
    assert name in messages[number].msg and messages[number].hint
    value = str(next(iter(changes.values())))
    if name in ("SECRET_KEY", "HASH_KEY") and value:
        assert value not in messages[number].msg + messages[number].hint


@pytest.mark.parametrize("name", ["builtin", "HuggingFaceTB/SmolLM2-360M-Instruct", "gpt2", "/tmp"])
def test_models_of_every_kind_pass(name, found):
    assert found(WRITER_MODEL=name, EMBEDDING_MODEL=name) == {}


def test_a_server_names_its_models_as_it_likes(found):
    assert found(WRITER_URL="http://gpu:8000/v1", WRITER_MODEL="llama3.1:8b") == {}


def test_debug_needs_no_secrets(found):
    assert found(DEBUG=True, SECRET_KEY="x", HASH_KEY="x") == {}
