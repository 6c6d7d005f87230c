"""What is never shown, and what is."""

import base64
import json

import pytest

from sidecar.core.secret import mask, secret_file


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    return bytes([tag, 0x82]) + len(content).to_bytes(2) + content


VERSION = der(2, b"\0")
BIG = der(2, b"\x7f" * 250)
RSA = der(6, bytes.fromhex("2a864886f70d010101"))
PBES2 = der(6, bytes.fromhex("2a864886f70d01050d"))
PKCS1 = der(0x30, VERSION, BIG, der(2, b"\1\0\1"), BIG)
PKCS8 = der(0x30, VERSION, der(0x30, RSA, der(5)), der(4, PKCS1))
SEC1 = der(0x30, der(2, b"\1"), der(4, b"k" * 32))
ENCRYPTED = der(0x30, der(0x30, PBES2, der(0x30)), der(4, b"k" * 200))
PKCS12 = der(0x30, der(2, b"\3"), der(0x30, RSA, b"k" * 100))
CERTIFICATE = der(0x30, der(0x30, der(0xA0, der(2, b"\2")), BIG), der(0x30, RSA), der(3, b"k"))
PUBLIC = der(0x30, der(0x30, RSA, der(5)), der(3, b"k" * 200))
DH_PARAMETERS = der(0x30, BIG, der(2, b"\2"))

JWK = {"kty": "RSA", "n": "0vx7", "e": "AQAB"}


def text(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN PRIVATE KEY-----\nabc",
        b"x\n-----BEGIN OPENSSH PRIVATE KEY-----\nabc",
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----",
        b"-----BEGIN PGP PRIVATE KEY BLOCK-----",
        b"PuTTY-User-Key-File-3: ssh-ed25519",
        b"AGE-SECRET-KEY-1QQQ",
        b"\xfe\xed\xfe\xed\0\0\0\2",
        PKCS1,
        PKCS8,
        PKCS8 + b"\n",
        SEC1,
        ENCRYPTED,
        PKCS12,
        base64.b64encode(PKCS8),
        base64.encodebytes(SEC1),
        text({**JWK, "d": "X4cT"}),
        text({**JWK, "q": "X4cT"}),
        text({"kty": "oct", "k": "AyM1"}),
        text({"kty": "EC", "crv": "P-256", "d": "X4cT"}),
        text({"keys": [JWK, {**JWK, "d": "X4cT"}]}),
        b"user:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n",
        b"# people\nuser:$6$salt$hash\n",
        b"user:$y$j9T$salt$hash:1000\n",
        b"user:$2y$05$hash\n",
        b"user:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n",
        b"user:{PLAIN}hunter2\n",
        b"user:abJnggxhB/yWI\n",
        b"user:abJnggxhB/yWI:a comment",
        b"user:realm:" + b"0123456789abcdef" * 2 + b"\n",
    ],
)
def test_a_secret_is_known_by_its_content(content: bytes) -> None:
    assert secret_file("conf.d/x", b"", content)
    assert secret_file("conf.d/x", content, b"")


@pytest.mark.parametrize(
    "path",
    [
        "live/example.org/privkey.pem",
        "archive/example.org/privkey12.pem",
        "certs/a/A.KEY",
        "certs/a.p12",
        "certs/a.pfx",
        "certs/server-key.pem",
        ".htpasswd",
        "conf.d/htpasswd",
        "admin.htpasswd",
        "accounts/acme-v02.api.letsencrypt.org/directory/0f/private_key.json",
        "accounts/acme-v02.api.letsencrypt.org/directory/0f/regr.json",
        "passwords.txt",
        "ssl/pass.phrase/passphrase",
        ".secrets/cloudflare.ini",
        "cloudflare-credentials.ini",
        ".env",
        "id_ed25519",
    ],
)
def test_a_secret_is_known_by_its_name(path: str) -> None:
    assert secret_file(path, b"anything", b"else")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("conf.d/a.conf", b"server { listen 80; }\n"),
        ("certs/fullchain.pem", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
        ("certs/key-usage.conf", b"#"),
        ("a.der", CERTIFICATE),
        ("a.der", PUBLIC),
        ("a.pem", base64.b64encode(CERTIFICATE)),
        ("dhparam.der", DH_PARAMETERS),
        ("jwks.json", text({"keys": [JWK]})),
        ("a.json", text({"d": 1, "p": [2, "k"]})),
        ("a.json", b"[" * 100_000),
        ("a.map", b"one: two\nhttp://example.com\nexample.org:443\n"),
        ("mime.types", b"types { text/html html; }\n"),
        ("empty", b""),
        ("short", b"\x30\x82"),
        ("short", b"\x30"),
        ("short", b"\x30\x03\x02\x05"),
    ],
)
def test_what_is_no_secret_is_shown(path: str, content: bytes) -> None:
    assert secret_file(path, content, content) == ""


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('proxy_set_header Authorization "Basic dXNlcjpwYXNz";', "… Authorization (secret);"),
        ("proxy_set_header Authorization 'Bearer abc.def-ghi';", "… Authorization (secret);"),
        ("proxy_set_header X-Api-Key 0123abcd;", "… X-Api-Key (secret);"),
        ("proxy_set_header X-Auth-Token '0123 abcd';", "… X-Auth-Token (secret);"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: (secret) (secret)"),
        ("# curl -H 'basic dXNlcjpwYXNz'", "# curl -H 'basic (secret)'"),
        (
            "proxy_pass https://user:pa.s@10.0.0.1/x;",
            "proxy_pass https://user:(secret)@10.0.0.1/x;",
        ),
        ("# redis://:hunter2@10.0.0.1", "# redis://:(secret)@10.0.0.1"),
        ("fastcgi_param DB_PASSWORD hunter2;", "fastcgi_param DB_PASSWORD (secret);"),
        ("set $api_key hunter2;", "set $api_key (secret);"),
        ('if ($http_x_token != "hunter2") {', "if ($http_x_token != (secret)) {"),
        ("if ($http_x_token ~* hunter2) {", "if ($http_x_token ~* (secret) {"),
        ("# the password is hunter2", "# the password is (secret)"),
        ("dns_cloudflare_api_token = 0123456789", "dns_cloudflare_api_token = (secret)"),
        ('{"client_secret": "hunter2", "a": 1}', '{"client_secret": (secret), "a": 1}'),
        ("return 302 /login?token=hunter2;", "return 302 /login?token=(secret);"),
        ('secure_link_md5 "$uri hunter2";', "secure_link_md5 (secret);"),
        ("password 'never closed", "password (secret)"),
    ],
)
def test_a_secret_in_a_line_is_masked(line: str, shown: str) -> None:
    assert mask(line) == shown.replace("…", "proxy_set_header")


@pytest.mark.parametrize(
    "line",
    [
        "proxy_set_header Authorization $http_authorization;",
        'proxy_set_header X-Token "${token}";',
        'proxy_set_header Authorization "";',
        "server_tokens off;",
        "server_tokens build;",
        "ssl_password_file /etc/nginx/certs/a.pass;",
        "auth_basic_user_file conf.d/.htpasswd;",
        "auth_basic 'Restricted area';",
        "location = /token {",
        "proxy_pass http://10.0.0.1:8080/a;",
        "ssl_certificate_key certs/a/privkey.pem;",
        "map $http_x_token $known {",
    ],
)
def test_what_is_no_secret_in_a_line_is_shown(line: str) -> None:
    assert mask(line) == line
