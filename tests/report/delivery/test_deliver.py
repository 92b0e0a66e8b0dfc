"""Deliveries to a real mail server and a real HTTP server on loopback."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from exporter.config import Delivery
from exporter.errors import DeliveryError
from exporter.report.delivery import marks
from exporter.report.delivery.deliver import deliver
from exporter.report.delivery.message import Attachment, Message
from exporter.report.delivery.send import send
from exporter.report.delivery.sender import Event, Job
from tests.support.postbox import PASSWORD, Postbox, free_port, http_sink, mail_server, silent_server

DAY = "2025-07-22"
PLAIN = Message("GPU 使用報告", "閒置  48%\n陳怡君  35.90\n", is_html=False)


def target(url: str, **changes: Any) -> Delivery:
    return Delivery.model_validate({"to": url} | changes)


def delivered(reports: Path, *targets: Delivery, message: Message = PLAIN, patience: float = 60.0) -> list[str]:
    reports.joinpath(DAY).mkdir(parents=True, exist_ok=True)
    return deliver(list(targets), reports, DAY, "day", lambda _: message, is_faulty=False, patience=patience)


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    with mail_server() as box:
        yield box


def test_plain_text_arrives_as_it_is_with_its_attachments(postbox: Postbox, tmp_path: Path) -> None:
    attached = Attachment(f"{DAY}-report.json", "application/json", b'{"schema_version": 1}')
    message = Message(PLAIN.title, PLAIN.body, is_html=False, attachments=(attached,))

    assert delivered(tmp_path, target(postbox.url()), message=message) == []

    (mail,) = postbox.mails
    body = mail.get_body()
    (file,) = mail.iter_attachments()
    assert (mail["Subject"], mail["To"]) == (PLAIN.title, "lab@example.org")
    assert body is not None
    assert body.get_content_type() == "text/plain"
    assert body.get_content().splitlines() == PLAIN.body.splitlines()
    assert (file.get_filename(), file.get_content_type()) == (attached.name, attached.mimetype)
    assert file.get_payload(decode=True) == attached.content


def test_html_arrives_as_it_is_beside_its_text(postbox: Postbox, tmp_path: Path) -> None:
    html = '<!DOCTYPE html>\n<html lang="zh-Hant-TW"><body><p style="margin:0">閒置 48%</p></body></html>\n'

    assert delivered(tmp_path, target(postbox.url(), format="html"), message=Message("報告", html, is_html=True)) == []

    (mail,) = postbox.mails
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    shown, plain = mail.get_body(("html",)), mail.get_body(("plain",))
    assert shown is not None
    assert plain is not None
    assert shown.get_content().splitlines() == html.splitlines()
    assert "閒置 48%" in plain.get_content()


def test_a_chat_that_takes_json_gets_it() -> None:
    with http_sink() as sink:
        send(SecretStr(sink.url()), PLAIN)

    (body,) = sink.bodies
    said = json.loads(body)
    assert (said["title"], said["message"].strip()) == (PLAIN.title, PLAIN.body.strip())


def test_nothing_is_sent_twice_to_the_same_target_in_the_same_form(postbox: Postbox, tmp_path: Path) -> None:
    one, other = target(postbox.url("a@example.org")), target(postbox.url("b@example.org"))

    for _ in range(3):
        assert delivered(tmp_path, one) == []
    assert delivered(tmp_path, one, other) == []
    assert delivered(tmp_path, target(postbox.url("a@example.org"), language="zh-TW"), one) == []

    assert postbox.recipients == ["a@example.org", "b@example.org", "a@example.org"]


def test_another_day_is_another_report(postbox: Postbox, tmp_path: Path) -> None:
    for name in (DAY, "2025-07-23"):
        assert deliver([target(postbox.url())], tmp_path, name, "day", lambda _: PLAIN, is_faulty=False) == []

    assert len(postbox.mails) == 2


def test_what_failed_is_said_and_tried_again_while_the_others_get_theirs(tmp_path: Path) -> None:
    port = free_port()
    with mail_server() as box:
        absent = target(Postbox(port=port).url("later@example.org"))
        present = target(box.url("now@example.org"))
        (failure,) = delivered(tmp_path, absent, present)
        assert failure.startswith(f"report.deliver[0]: {DAY} was not delivered: ")
        assert "refused" in failure
        assert marks.has_open(tmp_path, DAY, [absent, present], "day")

        with mail_server(port) as recovered:
            assert delivered(tmp_path, absent, present) == []

        assert recovered.recipients == ["later@example.org"]
        assert box.recipients == ["now@example.org"]
        assert marks.has_open(tmp_path, DAY, [absent, present], "day") is False


def test_a_mail_server_that_never_answers_is_given_up(postbox: Postbox, tmp_path: Path) -> None:
    with silent_server() as port:
        failures = delivered(tmp_path, target(Postbox(port=port).url()), target(postbox.url()), patience=10.0)

    assert [failure.split(": ", 1)[0] for failure in failures] == ["report.deliver[0]"]
    assert "no end after 10 s" in failures[0]
    assert len(postbox.mails) == 1


def test_of_several_recipients_those_who_have_it_do_not_get_it_again(postbox: Postbox, tmp_path: Path) -> None:
    both = target(postbox.url("here@example.org", "gone@example.org"))
    postbox.refused.add("gone@example.org")

    (failure,) = delivered(tmp_path, both)
    assert "some recipients have it" in failure
    assert "not sent again" in failure
    assert delivered(tmp_path, both) == []
    assert postbox.recipients == ["here@example.org"]


_KILLED = """
import sys
from pathlib import Path
from exporter.config import Delivery
from exporter.report.delivery.deliver import deliver
from exporter.report.delivery.message import Message
target = Delivery.model_validate({"to": sys.stdin.read()})
deliver([target], Path(sys.argv[1]), sys.argv[2], "day", lambda _: Message("t", "b", False), is_faulty=False)
"""


def test_a_run_that_is_killed_between_sending_and_marking_sends_nothing_twice(postbox: Postbox, tmp_path: Path) -> None:
    sending = subprocess.Popen(
        [sys.executable, "-c", _KILLED, tmp_path, DAY], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    postbox.on_mail = lambda: os.kill(sending.pid, signal.SIGKILL)
    sending.communicate(postbox.url())
    assert sending.returncode == -signal.SIGKILL

    (failure,) = delivered(tmp_path, target(postbox.url()))
    assert "it may have arrived; it is not sent again" in failure
    assert delivered(tmp_path, target(postbox.url())) == []
    assert len(postbox.mails) == 1


def test_without_room_for_the_mark_nothing_is_sent_and_it_is_said(postbox: Postbox, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        (failure,) = delivered(tmp_path, target(postbox.url()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

    assert "the mark of it cannot be kept" in failure
    assert postbox.mails == []
    assert delivered(tmp_path, target(postbox.url())) == []
    assert len(postbox.mails) == 1


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"version": 2, "salt": "00", "targets": {}}', b"\xff"])
def test_marks_that_were_edited_or_cut_short_stop_all_sending(postbox: Postbox, tmp_path: Path, damage: bytes) -> None:
    assert delivered(tmp_path, target(postbox.url())) == []
    file = tmp_path / DAY / marks.FILE
    file.write_bytes(damage)

    (failure,) = delivered(tmp_path, target(postbox.url()))
    assert str(file) in failure
    assert "remove it to send to all" in failure
    assert len(postbox.mails) == 1


def test_marks_tell_nothing_of_the_targets(tmp_path: Path) -> None:
    with http_sink() as sink:
        assert delivered(tmp_path, target(sink.url("hook-3af9"))) == []

    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()).decode()
    assert '"settled"' in kept
    assert not [part for part in (PASSWORD, "hook-3af9", "reporter", "127.0.0.1") if part in kept]


def test_while_one_run_delivers_another_does_not(postbox: Postbox, tmp_path: Path) -> None:
    with marks.delivering(tmp_path):
        (failure,) = delivered(tmp_path, target(postbox.url()))

    assert "another run is delivering" in failure
    assert postbox.mails == []


@pytest.mark.parametrize("content", ["", "no url", "mailto://a b", "http://\n", b"\xff\xfe"])
def test_a_file_that_holds_no_target_is_named_and_its_content_is_not(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "mail-target"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    wanted = Delivery.model_validate({"to_file": str(file)})

    (failure,) = delivered(tmp_path / "reports", wanted)
    assert str(file) in failure
    assert "a b" not in failure
    assert marks.has_open(tmp_path / "reports", DAY, [wanted], "day")


def test_a_target_in_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    (failure,) = delivered(tmp_path / "reports", Delivery.model_validate({"to_file": str(tmp_path / "pipe")}))
    assert "expected a regular file" in failure


def test_a_target_in_a_file_stays_the_same_with_a_new_password(postbox: Postbox, tmp_path: Path) -> None:
    file = tmp_path / "mail-target"
    for url in (postbox.url("old@example.org"), postbox.url("new@example.org")):
        file.write_text(f"{url}\n")
        assert delivered(tmp_path / "reports", Delivery.model_validate({"to_file": str(file)})) == []

    assert postbox.recipients == ["old@example.org"]


def test_a_failure_tells_no_secret(tmp_path: Path) -> None:
    with http_sink() as sink:
        sink.status = 403
        (refused,) = delivered(tmp_path, target(sink.url("hook-3af9")))
    with pytest.raises(DeliveryError) as unreachable:
        send(SecretStr(f"json://reporter:{PASSWORD}@127.0.0.1:{free_port()}/hook-3af9?+X-Key=k-77123"), PLAIN)
    (unknown,) = delivered(tmp_path, target(f"nowhere://reporter:{PASSWORD}@host/hook-3af9"))

    for said in (refused, str(unreachable.value), unknown):
        assert not [part for part in (PASSWORD, "hook-3af9", "reporter", "k-77123") if part in said], said
    assert "403" in refused
    assert "a URL that Apprise knows" in unknown


def test_no_target_stands_in_a_process_list_while_it_is_sent_to(postbox: Postbox, tmp_path: Path) -> None:
    seen: list[bytes] = []

    def look() -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                seen.append((process / "cmdline").read_bytes() + (process / "environ").read_bytes())
            except OSError:
                continue

    postbox.on_mail = look
    assert delivered(tmp_path, target(postbox.url("secret-inbox@example.org"))) == []

    assert [line for line in seen if b"exporter.report.delivery.sender" in line]
    assert not [line for line in seen if b"secret-inbox" in line]


def test_without_apprise_the_failure_says_what_to_install() -> None:
    job = Job(url="json://localhost", title="t", body="b", is_html=False, files=[])
    without = "import sys; sys.modules['apprise'] = None; from exporter.report.delivery.sender import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", without], input=job.model_dump_json(), capture_output=True, text=True, check=True
    )

    (event,) = map(Event.model_validate_json, ended.stdout.splitlines())
    assert event.failed
    assert "pip install 'mi300x-exporter[report]'" in event.reason
