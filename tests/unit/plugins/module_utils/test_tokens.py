# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstrap tokens: kubeadm's format, there and back, and the arithmetic of their lives."""

from __future__ import annotations

import base64
import contextlib
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import tokens
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc)
MOMENTS = st.datetimes(
    min_value=datetime(2000, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.timezones() | st.just(timezone.utc),
)
LIVES = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=400))


def minted(**changes: Any) -> tokens.BootstrapToken:
    values: dict[str, Any] = {"now": NOW, "ttl": timedelta(minutes=15), "description": "quorum.kubeadm", **changes}
    return tokens.mint(**values)


@given(now=MOMENTS, ttl=LIVES, description=st.text(), usages=st.sets(st.sampled_from(tokens.USAGES), min_size=1))
def test_a_token_comes_back_from_its_secret(now: datetime, ttl: timedelta, description: str, usages: set[str]) -> None:
    token = minted(now=now, ttl=ttl, description=description, usages=usages)
    assert tokens.from_secret(tokens.to_secret(token)) == token
    assert tokens.split_token(token.token) == (token.token_id, token.secret)
    assert not token.expired(now.replace(microsecond=0) - timedelta(seconds=1))
    assert token.expired(now + ttl)


def test_the_secret_is_the_one_kubeadm_makes() -> None:
    secret = tokens.to_secret(minted(choose=lambda letters: letters[0]))
    data = {key: base64.b64decode(value).decode() for key, value in secret.pop("data").items()}
    assert secret == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bootstrap-token-aaaaaa", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
    }
    assert data == {
        "token-id": "aaaaaa",
        "token-secret": "aaaaaaaaaaaaaaaa",
        "description": "quorum.kubeadm",
        "expiration": "2026-01-31T12:15:00Z",
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
    }


def test_tokens_are_random() -> None:
    made = {minted().token for _n in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token) for token in made)
    assert {letter for token in made for letter in token} == set("abcdefghijklmnopqrstuvwxyz0123456789.")


@given(MOMENTS)
def test_a_time_comes_back_to_the_second(moment: datetime) -> None:
    assert tokens.parse_time(tokens.format_time(moment)) == moment.astimezone(timezone.utc).replace(microsecond=0)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.123456789Z",
        "2026-01-31T14:00:00+02:00",
        "2026-01-31T06:30:00-05:30",
    ],
)
def test_every_form_of_rfc_3339_is_read(text: str) -> None:
    assert tokens.parse_time(text) == NOW


@given(st.text(max_size=30))
def test_a_time_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InputError):
        assert tokens.parse_time(text).tzinfo is timezone.utc


@pytest.mark.parametrize(
    "text", ["2026-02-30T12:00:00Z", "2026-01-31 12:00:00Z", "2026-01-31T12:00:00", "0001-01-01T00:00:00+23:59", ""]
)
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="RFC 3339"):
        tokens.parse_time(text)


@pytest.mark.parametrize(
    ("minutes", "least", "why"),
    [
        (15, 0, ""),
        (15, 14, ""),
        (15, 15, "ends at 2026-01-31T12:15:00Z"),
        (0, 0, "ended at 2026-01-31T12:00:00Z"),
        (-1, 5, "ended at 2026-01-31T11:59:00Z"),
        (None, 600, ""),
    ],
)
def test_whether_a_token_will_serve(minutes: int | None, least: int, why: str) -> None:
    token = replace(minted(), expires=None if minutes is None else NOW + timedelta(minutes=minutes))
    assert tokens.shortcoming(token, NOW, timedelta(minutes=least)) == why
    assert tokens.shortcoming(None, NOW, timedelta(minutes=least)) == "is gone"


@given(now=MOMENTS, ttl=LIVES, left=st.none() | st.timedeltas(timedelta(days=-2), timedelta(days=800)))
def test_a_life_is_only_ever_shortened(now: datetime, ttl: timedelta, left: timedelta | None) -> None:
    expires = None if left is None else (now + left).astimezone(timezone.utc)
    sooner = tokens.shortened(expires, now, ttl)
    limit = (now + ttl).astimezone(timezone.utc)
    if sooner is None:
        assert expires is not None
        assert expires <= limit
    else:
        assert sooner <= limit < sooner + timedelta(seconds=1)
        assert expires is None or sooner < expires
        assert tokens.shortened(sooner, now, ttl) is None


@pytest.mark.parametrize(
    "text",
    [
        "qwerty",
        "QWERTY.zyxwvutsrqponmlk",
        "qwerty.zyxwvutsrqponmlk\n",
        "qwerty.zyxwvutsrqponml",
        "qwerty-zyxwvutsrqponmlk",
    ],
)
def test_what_is_no_token_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InputError, match="not of the form") as caught:
        tokens.split_token(text)
    assert text not in str(caught.value)


@given(st.text(max_size=40))
def test_an_id_is_exactly_six_letters_and_digits(text: str) -> None:
    if re.fullmatch("[a-z0-9]{6}", text):
        assert tokens.check_id(text) == text
    else:
        with pytest.raises(InputError, match="6 characters"):
            tokens.check_id(text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ttl": timedelta(0)}, "lifetime must be positive"),
        ({"usages": ["signing", "root"]}, "root"),
        ({"groups": ["system:masters"]}, "system:masters"),
        ({"groups": ["system:bootstrappers:x\n"]}, "must begin with"),
    ],
)
def test_a_token_that_the_api_would_refuse_is_not_minted(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        minted(**changes)


def test_a_secret_of_somebody_else_is_read_or_refused() -> None:
    def secret(**data: str) -> dict[str, object]:
        return {"data": {key.replace("_", "-"): tokens.encode(value) for key, value in data.items()}}

    bare = tokens.from_secret(secret(token_id="abcdef", token_secret="0123456789abcdef"))
    assert (bare.expires, bare.usages, bare.groups, bare.description) == (None, (), (), "")
    with pytest.raises(InputError):
        tokens.from_secret(secret(token_id="abcdef"))
    with pytest.raises(InputError, match="RFC 3339"):
        tokens.from_secret(secret(token_id="abcdef", token_secret="0123456789abcdef", expiration="tomorrow"))
    with pytest.raises(InputError, match="key token-id"):
        tokens.from_secret({"data": {"token-id": "!"}})


def test_a_token_shows_no_secret() -> None:
    token = minted()
    assert token.secret not in repr(token)
