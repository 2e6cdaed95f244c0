from __future__ import annotations

import http.client
import json
import logging
import socket
import threading

import pytest

from sparcode.service.answers import Answers
from sparcode.service.client import ServiceClient, ServiceError
from sparcode.service.processes import bind
from sparcode.service.routes import make_app
from sparcode.service.worker import http_server
from tests.fakes import PATIENCE, raising
from tests.service.conftest import LIMITS, running, tiny_answers

JSON = {"content-type": "application/json"}


def ask(address: str, method: str, path: str, body: bytes | str | None = None, headers: dict | None = None) -> tuple[int, dict]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    status, answer = response.status, json.loads(response.read())
    connection.close()
    return status, answer


def test_the_client_gets_what_the_library_answers(address: str) -> None:
    answers = tiny_answers()
    with ServiceClient(address) as client:
        for queries in ([["item-3"]], [["item-3", "item-7"], ["item-12"]], [["item-1"]] * 5):
            found = client.retrieve_batch(queries, 7)
            expected = answers.retrieve({"queries": queries, "k": 7})["results"]
            assert found == [(one["item_ids"], one["scores"]) for one in expected]
        assert client.retrieve(["item-3"], 7, deny=["item-5"]) == tuple(
            answers.retrieve({"items": ["item-3"], "k": 7, "deny": ["item-5"]})["results"][0].values()
        )
        assert client.explain(["item-3"], "item-9") == answers.explain({"items": ["item-3"], "item": "item-9"})
        assert client.health() == {"status": "ready", "run_id": answers.run_id, "items": 80, "threshold": answers.cut.threshold}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "message"),
    [
        ("POST", "/retrieve", "{", JSON, 400, "not valid JSON"),
        ("POST", "/retrieve", b"\xff\xfe", JSON, 400, "not valid JSON"),
        ("POST", "/retrieve", "[" * 1500, JSON, 400, "the body is"),
        ("POST", "/retrieve", "[]", JSON, 400, "the body must be a JSON object; got list"),
        ("POST", "/retrieve", '{"items": ["item-3"], "threshold": NaN}', JSON, 400, "NaN is no number of JSON"),
        ("POST", "/retrieve", '{"items": ["item-3"], "k": 99}', JSON, 400, "from 1 to 20; got 99"),
        ("POST", "/retrieve", '{"items": ["item-3"]}', None, 415, "must be application/json; got none"),
        ("POST", "/retrieve", " " * 2001, JSON, 413, "the body may have 2,000 bytes"),
        ("POST", "/retrieve", "{}", JSON | {"origin": "http://example.org"}, 403, "requests of web pages are refused"),
        ("POST", "/explain", '{"items": ["item-3"]}', JSON, 400, '"item" must be the id of an item'),
        ("GET", "/retrieve", None, None, 405, "allowed are POST /retrieve, POST /explain, GET /health, GET /metrics"),
        ("OPTIONS", "/retrieve", None, None, 405, "OPTIONS /retrieve is not offered"),
        ("GET", "/", None, None, 404, "GET / is not offered"),
        ("GET", "/" + "x" * 5000, None, None, 404, "x is not offered"),
        ("POST", "/retrieve", "{}", {"content-type": "x" * 5000}, 415, "must be application/json; got x"),
    ],
)
def test_a_refusal_is_json_with_the_reason(
    address: str, method: str, path: str, body: str | None, headers: dict | None, status: int, message: str
) -> None:
    found, answer = ask(address, method, path, body, headers)
    assert (found, list(answer)) == (status, ["error"])
    assert message in answer["error"]
    assert len(answer["error"]) < 250


def test_a_body_without_a_length_is_cut_off_too(address: str) -> None:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    connection.request("POST", "/retrieve", iter([b" " * 1500] * 2), JSON, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_what_takes_longer_goes_to_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, threads = tiny_answers(LIMITS._replace(body_bytes=100_000)), []
    retrieve = answers.retrieve
    monkeypatch.setattr(answers, "retrieve", lambda asked: (threads.append(threading.current_thread()), retrieve(asked))[1])
    many, at = ["item-3"] * 501, answers.cut.threshold + 0.25
    asked = [
        ({"items": many}, False),
        ({"items": many, "deny": many}, True),
        ({"items": ["item-3"], "allow": many + many}, True),
        ({"queries": [many, {"items": many}]}, True),
        ({"queries": [["item-3"]] * 4}, False),
        ({"queries": [["item-3"]] * 5}, True),
        # The first request at a threshold looks through all lists.
        ({"items": ["item-3"], "threshold": at}, True),
        ({"items": ["item-3"], "threshold": at}, False),
    ]
    with running(answers) as address:
        for body, _ in asked:
            assert ask(address, "POST", "/retrieve", json.dumps(body), JSON)[0] == 200
    loop = threads[0]
    assert [thread is not loop for thread in threads] == [is_apart for _, is_apart in asked]


def test_a_request_that_does_not_end_is_cut_off_when_the_time_to_drain_is_over() -> None:
    bound = bind("127.0.0.1", 0)
    server = http_server(make_app(tiny_answers()), drain_seconds=0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    with socket.create_connection(bound.getsockname(), timeout=PATIENCE) as begun:
        begun.sendall(
            b"POST /retrieve HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n"
        )
        assert begun.recv(65536).startswith(b"HTTP/1.1 100 ")
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_headers_have_a_limit_and_no_other_protocol_is_spoken(address: str) -> None:
    assert ask(address, "GET", "/health", headers={"x": "x" * 60_000})[0] == 200
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as begun:
        # Never ended, so no more than what is held of it matters.
        begun.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nx: " + b"x" * 70_000)
        assert begun.recv(65536).startswith(b"HTTP/1.1 400 ")
    handshake = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "sec-websocket-version": "13",
    }
    assert ask(address, "GET", "/health", headers=handshake)[0] == 200


def test_requests_and_queries_are_counted() -> None:
    with running(tiny_answers()) as address, ServiceClient(address) as client:
        client.retrieve(["item-3"])
        client.retrieve_batch([["item-3"], ["item-4"], ["item-5"]])
        with pytest.raises(ServiceError) as error:
            client.retrieve(["nothing"])
        assert error.value.status == 400
        lines = client.metrics().splitlines()
    assert 'sparcode_requests_total{path="/retrieve",status="200"} 2.0' in lines
    assert 'sparcode_requests_total{path="/retrieve",status="400"} 1.0' in lines
    assert 'sparcode_request_seconds_count{path="/retrieve"} 3.0' in lines
    assert "sparcode_queries_total 4.0" in lines


def test_a_fault_is_told_as_json_and_counted(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(self: Answers, asked: dict) -> dict:
        raise KeyError("bug")

    monkeypatch.setattr(Answers, "retrieve", broken)
    caplog.set_level(logging.CRITICAL)
    with running(tiny_answers()) as address, ServiceClient(address) as client:
        with pytest.raises(ServiceError, match="the service failed") as error:
            client.retrieve(["item-3"])
        assert error.value.status == 500
        assert 'sparcode_requests_total{path="/retrieve",status="500"} 1.0' in client.metrics().splitlines()


def test_a_refusal_that_quotes_half_a_character_is_still_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answers, "retrieve", lambda self, asked: raising(ValueError(f"no user has {asked['items'][0]}"))())
    with running(tiny_answers()) as address:
        assert ask(address, "POST", "/retrieve", '{"items": ["\\ud800"]}', JSON) == (400, {"error": "no user has ?"})


def test_a_client_goes_on_after_an_answer_that_it_did_not_wait_for() -> None:
    """Half an answer must not be in the way of the next request."""
    whole, is_given_up = b'{"status": "ready"}', threading.Event()

    def answer() -> None:
        for bodies in ((whole, whole[:5]), (whole,)):
            connection, _ = listening.accept()
            with connection:
                for body in bodies:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(whole) + body)
                is_given_up.wait(PATIENCE)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        with ServiceClient(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=PATIENCE) as client:
            client.health()
            client._connection.sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.health()
            is_given_up.set()
            assert client.health() == {"status": "ready"}
        thread.join(PATIENCE)


def test_a_client_whose_connection_was_closed_asks_again() -> None:
    answers = tiny_answers(LIMITS)
    with running(answers) as address:
        client = ServiceClient(address)
        expected = client.retrieve(["item-3"])
        client._connection.sock.shutdown(2)
        assert client.retrieve(["item-3"]) == expected
    client.close()
    with pytest.raises(ConnectionRefusedError):
        client.retrieve(["item-3"])


@pytest.mark.parametrize("address", ["127.0.0.1:80", "https://127.0.0.1", "http://", "http://127.0.0.1/path"])
def test_a_bad_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="the address must be such as"):
        ServiceClient(address)
