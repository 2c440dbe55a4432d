"""Contract § 4 and § 9 (on save): which webhook URLs may be saved; by the text alone, so on one engine."""

from __future__ import annotations

import pytest

from harness import Api, Desk, Server, assert_refused
from receiver import Receiver

GOOD_URLS = [
    "https://example.com",
    "https://example.com/sailor/outcomes",
    "http://example.com:8080/x?y=%20z&y=2;3",
    "https://example.com:443/",
    "http://example.com:80",
    "https://example.com:1024/",
    "https://example.com:65535/",
    "HTTPS://EXAMPLE.com/MiXeD?Case=Kept",
    "https://example.com/%7Euser/../a/./b//c",
    "https://b\u00fccher.example/",
    "https://xn--bcher-kva.example/",
    "http://8.8.8.8/hook",
    "http://[2606:4700:4700::1111]:8443/hook",
    "https://example.com/" + "x" * (2048 - 20),
]

BAD_URLS = [
    "", " ", "/hook", "//example.com/hook", "example.com/hook", "example.com", "https:", "https:/", "https://",
    "https:///hook", "http://:8080/", "https://?x", "ftp://example.com/", "file:///etc/passwd",
    "javascript:alert(1)",
    "ws://example.com/", "mailto:a@example.com", "httpss://example.com/", "https;//example.com/",
    "https://user@example.com/", "https://user:pass@example.com/", "https://:@example.com/", "https://@example.com/",
    "https://example.com/#fragment", "https://example.com#x", "https://example.com/#",
    "https://example.com/" + "x" * (2049 - 20),
    "https://exa mple.com/", "https://exam%70le.com/", "https://example.com%2f@evil.example/",
    "https://example.com\\@evil.example/", "https:\\\\example.com/", "https://exam\tple.com/", "https://example.com\n/",
    "https://example.com/a\r\nX-Injected: 1", "\nhttps://example.com/", "https://example.com\u0000.evil.example/",
    "https://example.com:0/", "https://example.com:22/", "https://example.com:1023/", "https://example.com:65536/",
    "https://example.com:abc/", "https://example.com:-1/", "https://example.com:8o/", "https://example.com:+8080/",
    "http://localhost/", "http://LOCALHOST:8080/", "http://localhost./", "http://api.localhost/", "http://intranet/",
    "http://printer.local/", "http://x.localdomain/", "http://api.internal/", "http://x.home.arpa/",
    "http://web.default.svc/", "http://metadata.google.internal/",
    "http://127.0.0.1/", "http://127.0.0.1:8080/", "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data", "http://100.64.0.1/", "http://0.0.0.0/", "http://192.0.2.1/",
    "http://198.18.0.1/", "http://198.51.100.1/", "http://203.0.113.1/", "http://224.0.0.1/", "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0177.0.0.1/",
    "http://8.8.8/", "http://8.8.8.8.8/", "http://256.1.1.1/", "http://08.8.8.8/", "http://a.b.1/", "http://1.2.3.0x4/",
    "http://\uff11\uff12\uff17.0.0.1/", "http://127\u30020\u30020\u30021/", "http://\u2460\u2461\u2466.0.0.1/",
    "http://[::1]/", "http://[::]/", "http://[fe80::1]/", "http://[fe80::1%25eth0]/", "http://[fc00::1]/",
    "http://[fd00:ec2::254]/", "http://[ff02::1]/", "http://[::ffff:10.0.0.1]/", "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/", "http://[64:ff9b::a00:1]/", "http://[2002:7f00:1::]/", "http://[2001:db8::1]/",
    "http://[2001::1]/", "http://[3fff::1]/", "http://[4000::1]/", "http://[::1", "http://::1/", "http://[x]/",
    "http://[127.0.0.1]/",
]  # fmt: skip


@pytest.fixture(scope="module")
def strict_api(strict_server: Server) -> Api:
    return Desk.open(strict_server).api


def body(url: object) -> dict[str, object]:
    return {"outcome_name": "A", "outcome_type": "disposition", "webhook_url": url}


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_public_url_is_saved_byte_for_byte(strict_api: Api, url: str) -> None:
    answer = strict_api.post("/outcomes", json=body(url))
    assert answer.status == 201, answer
    assert answer.json["outcome"]["webhook_url"] == url


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_may_not_be_called_is_not_saved(strict_api: Api, url: str) -> None:
    answer = strict_api.post("/outcomes", json=body(url))
    assert_refused(answer, 400, "invalid_outcome")
    if "\u0000" not in url:
        assert answer.fields == {"webhook_url"}


def test_an_opened_range_lets_literals_and_names_that_lead_there_be_saved(shared_api: Api) -> None:
    for url in ("http://127.0.0.1:8080/x", "http://[::1]:8080/x", "http://localhost:8080/x"):
        assert shared_api.post("/outcomes", json=body(url)).status == 201, url
    for url in ("http://10.0.0.1/", "http://127.1/", "http://169.254.169.254/"):
        assert_refused(shared_api.post("/outcomes", json=body(url)), 400, "invalid_outcome")


def test_the_url_is_called_byte_for_byte(desk: Desk, receiver: Receiver) -> None:
    tail = "?b=%2f&a=1+1&&x=%C3%A9&y=~%7E;z='"
    outcome_id = desk.action(receiver.url + tail)["outcome_id"]
    desk.applied(desk.call()["call_id"], outcome_id)
    assert receiver.wait_for()[0].target == receiver.path + tail
