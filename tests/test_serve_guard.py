"""Who may ask the server of the second read, how many at once, and where it listens."""

import re
import threading

import pytest
from fastapi.testclient import TestClient
from served import SMALL, client_of, line_of, png

from histopair.errors import InputError
from serve import api, listen, private

pytest_plugins = ["served"]


@pytest.mark.parametrize(
    "host", ["evil.com", "localhost.evil.com", "10.0.0.1", "", "[::1", "a:b:c"]
)
def test_other_hosts_names_are_refused(client, host):
    """A name that another site's DNS points here: its page could else read the answers."""
    line = line_of(client.get("/api/models", headers={"host": host}), 421)
    assert "Open the address that it printed" in line


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8765", "[::1]:8765"])
def test_this_machines_names_are_answered(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


def test_a_server_for_all_addresses_answers_to_addresses_not_to_names(desk):
    client = client_of(desk, host="0.0.0.0")
    assert client.get("/", headers={"host": "10.0.0.1:8765"}).status_code == 200
    assert client.get("/", headers={"host": "evil.com"}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.com"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_scripts_are_refused(client, headers):
    response = client.post("/api/predict", files={"image": ("a.png", png())}, headers=headers)
    assert "a page of another site asked" in line_of(response, 403)
    assert client.get("/api/models", headers=headers).status_code == 403


def test_its_own_page_is_answered(client):
    headers = {"origin": "http://localhost:8765", "sec-fetch-site": "same-origin"}
    files = {"image": ("a.png", png())}
    assert client.post("/api/predict", files=files, headers=headers).status_code == 200


def test_every_answer_forbids_what_the_page_does_not_need(client):
    for response in (client.get("/"), client.get("/none"), client.get("/", headers={"host": "x"})):
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy
        assert "unsafe" not in policy and response.headers["x-content-type-options"] == "nosniff"
    assert client.options("/api/predict").headers.get("access-control-allow-origin") is None


def test_the_page_loads_nothing_from_elsewhere():
    for path in api.ASSETS.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//[a-z]", re.sub(r"^\s*//.*$", "", text, flags=re.M)), path
        assert "innerHTML" not in text and "eval(" not in text


def test_requests_beyond_the_places_are_refused_and_the_others_answered(desk, monkeypatch):
    go, started, answers = threading.Event(), threading.Semaphore(0), []
    answer = desk.answer

    def slow(question):
        started.release()
        go.wait(60)
        return answer(question)

    monkeypatch.setattr(desk, "answer", slow)
    app = api.create(desk, "localhost")
    ask = lambda: TestClient(app, base_url="http://localhost").post(  # noqa: E731
        "/api/predict", files={"image": ("a.png", png())}
    )
    waiting = [threading.Thread(target=lambda: answers.append(ask())) for _ in range(SMALL.places)]
    for one in waiting:
        one.start()
    started.acquire(timeout=60)
    while app.busy < SMALL.places:
        threading.Event().wait(0.01)
    refused = ask()
    assert "2 requests are at work or wait. Send it again" in line_of(refused, 503)
    assert refused.headers["retry-after"] == "1"
    assert TestClient(app, base_url="http://localhost").get("/api/models").status_code == 200
    go.set()
    for one in waiting:
        one.join()
    assert [response.status_code for response in answers] == [200, 200] and app.busy == 0


def test_users_at_once_get_their_own_answers(desk):
    contents = {seed: png(seed, (64, 48)) for seed in range(2)}
    client = client_of(desk)
    post = lambda seed: client.post("/api/predict", files={"image": ("a", contents[seed])}).json()  # noqa: E731
    alone = {seed: post(seed)["findings"] for seed in contents}
    assert alone[0] != alone[1]
    wrong = []

    def user(seed):
        for _ in range(10):
            wrong.extend([seed] * (post(seed)["findings"] != alone[seed]))

    users = [threading.Thread(target=user, args=(seed,)) for seed in contents]
    for one in users:
        one.start()
    for one in users:
        one.join()
    assert wrong == []


def test_an_address_that_is_taken_is_one_line():
    with listen.bound("127.0.0.1", 0) as place:
        port = place.getsockname()[1]
        with pytest.raises(InputError, match=r"nothing can listen there .* Choose another --port"):
            listen.bound("127.0.0.1", port)
    with pytest.raises(InputError, match="nothing can listen there"):
        listen.bound("127.0.0.1", 99_999)


def test_folders_of_killed_servers_are_removed_and_those_in_use_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(private.tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"{private.PREFIX}left"
    left.mkdir()
    (left / "upload").write_bytes(b"x")
    other = tmp_path / f"{private.PREFIX}link"
    other.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    with private.folder() as first, private.folder() as second:
        assert first.is_dir() and second.is_dir() and first != second
        assert not left.exists() and (tmp_path / "elsewhere").is_dir()
        assert first.stat().st_mode & 0o077 == 0
    assert not first.exists() and not second.exists()
