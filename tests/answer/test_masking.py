"""Secrets in texts are hidden wherever they come from; everything else is left as it is."""

from __future__ import annotations

import pytest
from kickstart_scene import FEATURES

from pxenet.answer.masking import Mask, secrets_of


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rootpw --iscrypted $6$salt$ha./sh0", "rootpw --iscrypted <secret-1>"),
        ("rootpw --plaintext hunter22", "rootpw --plaintext <secret-1>"),
        ("rootpw hunter22 --lock", "rootpw <secret-1> --lock"),
        ("rootpw --lock", "rootpw --lock"),
        ('user --name=a --password="$6$x$y" --groups=wheel', 'user --name=a --password="<secret-1>" --groups=wheel'),
        ("part / --encrypted --passphrase='open sesame' --grow", "part / --encrypted --passphrase=<secret-1> --grow"),
        ("bootloader --password=grub.pbkdf2.sha512.1.AB.CD", "bootloader --password=<secret-1>"),
        ("d-i passwd/root-password password r00t me", "d-i passwd/root-password password <secret-1>"),
        ("d-i passwd/user-fullname string A User", "d-i passwd/user-fullname string A User"),
        ("    password: $y$j9T$abc$def", "    password: <secret-1>"),
        ("    password: open sesame", "    password: <secret-1>"),
        ('  "passwordHash": "$6$a$b"', '  "passwordHash": "<secret-1>"'),
        ("<user_password>hunter22</user_password>", "<user_password><secret-1></user_password>"),
        ("inst.vnc inst.vncpassword=hunter22 quiet", "inst.vnc inst.vncpassword=<secret-1> quiet"),
        (
            "sshpw=hunter22 passwd/user-password-crypted=x1 y=2",
            "sshpw=<secret-1> passwd/user-password-crypted=<secret-2> y=2",
        ),
        ("passwd/username=ops PASSWORD=$1 password=$(cat)", "passwd/username=ops PASSWORD=$1 password=$(cat)"),
        ("repo --baseurl=http://me:hunter22@host/x", "repo --baseurl=http://me:<secret-1>@host/x"),
        ("-----BEGIN PRIVATE KEY-----\nMII\nabc\n-----END", "-----BEGIN PRIVATE KEY-----\n<secret-1>-----END"),
        ("a $6$x$y\nb $6$x$z\nc $6$x$y", "a <secret-1>\nb <secret-2>\nc <secret-1>"),
        ("echo $HOME ${#x} $1 $$ # http://host:80/a@b", "echo $HOME ${#x} $1 $$ # http://host:80/a@b"),
        ("sshkey --username=root ssh-ed25519 AAAA", "sshkey --username=root ssh-ed25519 AAAA"),
    ],
)
def test_what_looks_like_a_secret(text: str, masked: str) -> None:
    """By how installers spell them; and hidden texts have nothing more to hide."""
    mask = Mask()
    assert masked == mask(text)
    assert masked == mask(masked)


def test_what_is_called_a_secret() -> None:
    """Keys of the data that are secrets, at any depth, and variables that say so; short values and public ones are none."""
    data = {
        **FEATURES["encrypted partitions"],
        **FEATURES["users"],
        **FEATURES["bootloader password"],
        "root_password": "R",
    }
    variables = {
        "rootpw": "hunter22",
        "passwords": {"a": "aaaa1", "b": ["bbbb2"]},
        "api_token": "tttt",
        "sshkey": "public",
        "pwd_dir": "/x",
        "n": 1,
    }
    assert {"open sesame", "$6$a$b", "grub.pbkdf2.sha512.10000.AB", "R", "hunter22", "aaaa1", "bbbb2", "tttt"} == set(
        secrets_of(data, variables)
    )
    assert "x <secret-1> R <secret-2>" == Mask(secrets_of(data, variables))("x open sesame R hunter22")
