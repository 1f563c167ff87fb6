import pytest

from tidemill.delivery.addresses import Address, MailServer
from tidemill.errors import SettingsError


def server(url: str) -> MailServer:
    return MailServer.parse(Address("post", url))


def test_an_address_shows_only_its_name() -> None:
    address = Address("post", "smtp://ann:s3cret@host?from=a@b")
    assert f"{address!r} {address}" == "Address('post') Address('post')"


def test_a_mail_server_does_not_show_its_login() -> None:
    assert "s3cret" not in repr(server("smtps://ann:s3cret@host?from=a@b.c"))


def test_a_mail_server_has_everything_from_its_address() -> None:
    found = server("smtp://ann%40x:p%2Fw@mail.example.com:2525?from=a@b.c&to=d@e.f,g@h.i")
    assert (found.host, found.port, found.user, found.password) == ("mail.example.com", 2525, "ann@x", "p/w")
    assert (found.sender, found.recipients) == ("a@b.c", ("d@e.f", "g@h.i"))


@pytest.mark.parametrize(("url", "implicit", "starttls", "port"), [
    ("smtp://h?from=a@b.c", False, True, 587),
    ("smtps://h?from=a@b.c", True, False, 465),
    ("smtp://h?from=a@b.c&tls=off", False, False, 587),
])  # fmt: skip
def test_mail_is_encrypted_unless_the_address_says_otherwise(
    url: str, implicit: bool, starttls: bool, port: int
) -> None:
    found = server(url)
    assert (found.implicit_tls, found.starttls, found.port) == (implicit, starttls, port)


@pytest.mark.parametrize("url", [
    "smtp://", "smtp://h", "smtp://h?from=nobody", "smtp://h?from=a@b.c&tls=maybe", "smtp://h?from=a@b.c&cc=d@e.f",
    "smtp://h:port?from=a@b.c", "smtp://[h?from=a@b.c",
])  # fmt: skip
def test_a_malformed_address_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsError) as error:
        server(url.replace("smtp://h", "smtp://ann:s3cret@h"))
    assert "s3cret" not in str(error.value)


def test_a_password_does_not_go_over_the_wire_in_clear() -> None:
    with pytest.raises(SettingsError, match="unencrypted"):
        server("smtp://ann:s3cret@mail.example.com?from=a@b.c&tls=off")


@pytest.mark.parametrize("url", [
    "slack://TokenA/s3cret/TokenC", "json://ann:s3cret@host/path", "json://host/?+X=s3cret", "tgram://s3cret/chat",
    "mailto://ann:s3cret@example.com", "json://host/s3cre%74",
])  # fmt: skip
def test_every_part_of_an_address_that_may_be_secret_is_hidden(url: str) -> None:
    said = Address("chat", url).scrub(f"POST {url} refused: s3cret and s3cre%74 are wrong")
    assert url not in said
    assert "s3cret" not in said


def test_an_address_that_is_not_a_url_is_hidden_whole() -> None:
    assert Address("chat", "http://[broken s3cret").scrub("bad: http://[broken s3cret") == "bad: ***"
