"""Does e-mail work as a channel, with a real mail server?

usage: python3 tests/mail/check.py ZHIDA

Runs Dovecot (Debian's, installed where we may) with a made certificate on free ports, a
server for SMTP that keeps what it gets and refuses when told to, and the binary ZHIDA, all
in a temporary folder. Letters are put into the mailbox and what comes back is read: answers
in the thread, people and their replies, what is never answered, a server that is killed, an
outage, and passwords that are wrong. Where Dovecot cannot be had it says that it skips.
"""

import base64
import email
import email.policy
import imaplib
import json
import os
import pathlib
import pwd
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checking import Server, free_port, from_debian, open_to_others

US, PASSWORD = "kefu@shop.example", "mail-password-7"
ENTRIES = '{"id":"hours","question":"几点上班","similar":["客服几点开始上班"],"answer":"早上九点。"}\n{"id":"refund","question":"退款多久到账","answer":"1 到 3 个工作日。"}\n'


def dovecot_is_here():
    return from_debian("dovecot", "dovecot-imapd") is not None and os.geteuid() == 0


class Dovecot:
    """A private Dovecot with one account."""

    def __init__(self, folder):
        self.port, self.folder = free_port(), folder
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
            check=True, capture_output=True,
        )
        nobody = pwd.getpwnam("nobody")
        mail = folder / "mail"
        mail.mkdir()
        os.chown(mail, nobody.pw_uid, nobody.pw_gid)
        open_to_others(folder)
        (folder / "users").write_text(f"{US}:{{PLAIN}}{PASSWORD}\n")
        (folder / "dovecot.conf").write_text(f"""
base_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_location = maildir:{mail}/%u
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={nobody.pw_uid} gid={nobody.pw_gid} home={mail}/%u
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {self.port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
""")
        self.process = subprocess.Popen(["dovecot", "-F", "-c", str(folder / "dovecot.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait(lambda: self.sign_in(quiet=True) is not None, "Dovecot did not start", also=lambda: (folder / "dovecot.log").read_text()[-2000:])

    def sign_in(self, quiet=False):
        try:
            box = imaplib.IMAP4_SSL("localhost", self.port, ssl_context=ssl.create_default_context(cafile=str(self.folder / "cert.pem")))
            box.login(US, PASSWORD)
            return box
        except (OSError, imaplib.IMAP4.error):
            if quiet:
                return None
            raise

    def put(self, letter):
        box = self.sign_in()
        status, told = box.append("INBOX", None, None, letter)
        assert status == "OK", told
        box.logout()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


class Post:
    """A server for SMTP that keeps what it gets."""

    def __init__(self):
        self.letters, self.refuses, self.refused = [], False, 0
        post = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def handle(self):
                self.say("220 post.example ESMTP")
                to = []
                while line := self.rfile.readline():
                    word = line.split(b" ")[0].strip().upper()
                    if word == b"EHLO":
                        self.say("250-post.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN")
                    elif word == b"AUTH":
                        self.auth(line)
                    elif word == b"MAIL" and post.refuses:
                        post.refused += 1
                        self.say("451 4.3.0 try again later")
                    elif word == b"RCPT":
                        to.append(line.decode())
                        self.say("250 ok")
                    elif word == b"DATA":
                        self.say("354 go on")
                        body = b""
                        while (part := self.rfile.readline()) not in (b".\r\n", b""):
                            body += part[1:] if part.startswith(b"..") else part
                        post.letters.append(email.message_from_bytes(body, policy=email.policy.default))
                        self.say("250 kept")
                    elif word == b"QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 ok")

            def auth(self, line):
                parts = line.split()
                if parts[1].upper() == b"PLAIN":
                    if len(parts) < 3:
                        self.say("334 ")
                        parts.append(self.rfile.readline().strip())
                    given = base64.b64decode(parts[2]).split(b"\0")[2]
                else:
                    self.say("334 VXNlcm5hbWU6")
                    self.rfile.readline()
                    self.say("334 UGFzc3dvcmQ6")
                    given = base64.b64decode(self.rfile.readline())
                self.say("235 welcome" if given.decode() == PASSWORD else "535 5.7.8 wrong password")

        class Listening(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        self.server = Listening(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def to(self, who):
        return [one for one in self.letters if who in one["To"]]


def wait(holds, what, seconds=40, also=lambda: ""):
    until = time.monotonic() + seconds
    while not (got := holds()):
        assert time.monotonic() < until, f"{what} {also()}"
        time.sleep(0.1)
    return got


COUNT = iter(range(1, 1000))


def letter(who, subject, text, charset="utf-8", **headers):
    """A letter as a customer's program writes it."""
    lines = [f"From: {who}", f"To: {US}", f"Message-ID: <{next(COUNT)}@{who.split('@')[1]}>", "Date: Sat, 28 Nov 2026 10:00:00 +0800"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    packed = base64.b64encode(subject.encode(charset)).decode()
    lines += [f"Subject: =?{charset}?B?{packed}?=", "MIME-Version: 1.0", f"Content-Type: text/plain; charset={charset}", "Content-Transfer-Encoding: base64", ""]
    return "\r\n".join([*lines, base64.encodebytes(text.encode(charset)).decode().replace("\n", "\r\n")]).encode()


def last_id(one):
    return email.message_from_bytes(one)["Message-ID"]


class Api:
    def __init__(self, address):
        self.address = address

    def __call__(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request) as reply:
                return json.loads(reply.read() or "null")
        except urllib.error.HTTPError as fault:
            raise SystemExit(f"{method} {path}: {fault.read().decode()}") from None


def channel(binary, data, dovecot, post, name, password):
    """Adds a channel; gives back what `channel test` comes to."""
    command = [binary, "channel", "add", "--data", str(data), "--kind", "email", "--kb", "mail", "--address", US, "--password", password]
    command += ["--imap-host", "localhost", "--imap-port", str(dovecot.port), "--smtp-host", "localhost", "--smtp-port", str(post.port)]
    command += ["--smtp-security", "plain", "--authority", f"{dovecot.folder}/cert.pem", "--private", name]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert password not in done.stdout + done.stderr
    return subprocess.run([binary, "channel", "test", "--data", str(data), "--lang", "zh", name], capture_output=True, text=True)


def story(binary, data, dovecot, post, environment):
    tested = channel(binary, data, dovecot, post, "box", PASSWORD)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    server = Server(binary, data, "--model", "none", **environment)
    api = Api(server.address)
    # What is known is answered in the thread.
    first = letter("anna@home.example", "请问几点上班", "几点上班\r\n\r\n-- \r\n安娜\r\n")
    dovecot.put(first)
    reply = wait(lambda: post.to("anna@home.example"), "no answer came")[0]
    text = reply.get_body(("plain",)).get_content()
    assert "早上九点" in text, text
    assert reply["In-Reply-To"] == last_id(first) and last_id(first) in reply["References"], reply.items()
    assert reply["Auto-Submitted"] == "auto-replied" and reply["From"].endswith(f"{US}>") or US in reply["From"], reply.items()
    # What is not known goes to people, and the customer is told once.
    dovecot.put(letter("berta@home.example", "合作", "你们收旧手机吗？我有三百台。"))
    told = wait(lambda: post.to("berta@home.example"), "nobody was told")[0]
    waiting = wait(lambda: api("GET", "/v1/handoffs?state=waiting")["items"], "nobody waits")
    assert len(waiting) == 1, waiting
    handoff, conversation = waiting[0]["id"], waiting[0]["conversation"]
    assert f"编号是 {waiting[0]['number']}" in told.get_body(("plain",)).get_content(), "the number that people see"
    api("POST", f"/v1/handoffs/{handoff}/claim", {"agent": "小王"})
    api("POST", f"/v1/handoffs/{handoff}/reply", {"agent": "小王", "text": "您好，请发一份清单。"})
    answer = wait(lambda: post.to("berta@home.example")[1:], "the agent's reply did not go out")[0]
    assert "请发一份清单" in answer.get_body(("plain",)).get_content()
    assert answer["Auto-Submitted"] in (None, "no"), "a person wrote it"
    # Their answer, with ours quoted below, comes into the same conversation.
    quoted = "清单在附件里。\r\n\r\n在 2026年11月28日，客服 <kefu@shop.example> 写道：\r\n> 您好，请发一份清单。\r\n"
    dovecot.put(letter("berta@home.example", "Re: 合作", quoted, In_Reply_To=answer["Message-ID"], References=answer["Message-ID"]))
    place = f"/v1/conversations/{urllib.parse.quote(conversation, safe='')}"

    def said():
        return [turn["text"] for turn in api("GET", place)["turns"] if turn["role"] == "customer"]

    wait(lambda: any("清单在附件里" in text for text in said()), "the customer's answer did not come", also=said)
    assert not any("写道" in text for text in said()), said()
    assert len(post.to("berta@home.example")) == 2, "while a person has it the robot is silent"
    # What programs write is never answered.
    dovecot.put(letter("robot@home.example", "自动回复：外出", "我在休假。几点上班", Auto_Submitted="auto-replied"))
    dovecot.put(letter("news@list.example", "几点上班", "几点上班", List_Id="<news.list.example>", Precedence="list"))
    dovecot.put(letter("mailer-daemon@home.example", "Undelivered Mail Returned to Sender", "几点上班", Return_Path="<>"))
    # An old encoding.
    dovecot.put(letter("chen@home.example", "客服几点开始上班", "客服几点开始上班", charset="gb18030"))
    wait(lambda: post.to("chen@home.example"), "GB18030 was not read")
    for nobody in ("robot@home.example", "news@list.example", "mailer-daemon@home.example"):
        assert not post.to(nobody), nobody
    # Killed when a letter has come: one answer after the next start.
    server.process.kill()
    server.process.wait()
    server.drain.wait(10)
    dovecot.put(letter("dora@home.example", "退款", "退款多久到账"))
    server = Server(binary, data, "--model", "none", **environment)
    api = Api(server.address)
    wait(lambda: post.to("dora@home.example"), "after a kill no answer came")
    # An outage of the server for outgoing mail: later, once.
    post.refuses = True
    dovecot.put(letter("emil@home.example", "上班", "几点上班"))
    wait(lambda: post.refused, "nothing was tried")
    post.refuses = False
    wait(lambda: post.to("emil@home.example"), "after the outage nothing came", 60)
    time.sleep(1)
    for who, count in (("anna", 1), ("dora", 1), ("emil", 1), ("chen", 1)):
        assert len(post.to(f"{who}@home.example")) == count, (who, len(post.to(f"{who}@home.example")))
    log = server.stop()
    assert PASSWORD not in log
    # Wrong passwords are told in words.
    tested = channel(binary, data, dovecot, post, "wrong", "not-the-password")
    assert tested.returncode == 1 and tested.stderr.strip(), tested
    print("`channel test` with a wrong password:", tested.stderr.strip().splitlines()[-1][:160])


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    if not dovecot_is_here():
        print("skipped: Dovecot cannot be had (apt-get install dovecot-imapd, as root)")
        return
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data = folder / "data"
        (folder / "mail.jsonl").write_text(ENTRIES)
        for step in (["import", "--kb", "mail", str(folder / "mail.jsonl")], ["publish", "--kb", "mail", "--model", "none"]):
            subprocess.run([binary, "kb", step[0], "--data", str(data), *step[1:]], check=True, capture_output=True)
        place = folder / "dovecot"
        place.mkdir()
        dovecot, post = Dovecot(place), Post()
        try:
            story(binary, data, dovecot, post, {"LC_ALL": "C.UTF-8"})
        finally:
            dovecot.stop()
            post.server.shutdown()
    print(f"e-mail works with Dovecot: answers, people, loops, a kill and an outage, in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
