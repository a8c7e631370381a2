"""A hub made of paper: it speaks the member's half of the wire over TLS and
can be told to misbehave. For tests of the agent that need the other side's
faults at a moment of their choice; noroshi-hub is tested with itself."""

import base64
import hashlib
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
import uuid

COLLECTION = "3f0c6a52-5c0a-4f8e-9a51-0c1c9a3f0001"


def make_certificate(folder):
    pem, key = folder / "fake.pem", folder / "fake.key"
    if not pem.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
             "/CN=fake", "-keyout", key, "-out", pem], check=True,
            stderr=subprocess.DEVNULL)
    spki = subprocess.run(
        f"openssl x509 -in {pem} -noout -pubkey | "
        "openssl pkey -pubin -outform der", shell=True, check=True,
        stdout=subprocess.PIPE).stdout
    pin = base64.urlsafe_b64encode(hashlib.sha256(spki).digest())
    return pem, key, pin.decode().rstrip("=")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        hub = self.server.hub
        path, _, query = self.path.partition("?")
        hub.requests.append(("GET", self.path))
        if path == "/v1/hub":
            self.reply(200, {"name": "fake", "time": "2017-08-21T00:00:00Z",
                             "certificate": hub.pem.read_text()})
        elif path == "/v1/events":
            self.stream(hub)
        elif path == "/taxii2/root/collections/":
            self.reply(200, {"collections": [
                {"id": COLLECTION, "title": "all", "can_read": True,
                 "can_write": True}]})
        elif path == f"/taxii2/root/collections/{COLLECTION}/objects/":
            after = dict(p.split("=", 1) for p in query.split("&")
                         if "=" in p).get("added_after", "")
            page = [(a, o) for a, o in hub.objects if a > after]
            more = len(page) > hub.page
            page = page[:hub.page]
            if hub.cut_pull > 0:
                hub.cut_pull -= 1
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            head = [("X-TAXII-Date-Added-Last", page[-1][0])] if page else []
            self.reply(200, {"more": more, "objects": [o for _, o in page]}
                       if page else {}, head)
        else:
            self.reply(404, {"title": "no such path"})

    def do_POST(self):
        hub = self.server.hub
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hub.requests.append(("POST", self.path))
        if self.path == "/v1/join":
            hub.members += 1
            member = "identity--" + str(uuid.uuid5(hub.space, str(hub.members)))
            self.reply(200, {
                "member": member, "key": f"key{hub.members}",
                "expires": "2030-01-01T00:00:00Z", "sector": "energy",
                "size": "large", "role": "member", "collections": [
                    {"id": COLLECTION, "title": "all", "can_read": True,
                     "can_write": True}]})
        elif self.path == "/v1/answers":
            self.answers(hub, json.loads(body))
        else:
            self.reply(404, {"title": "no such path"})

    def answers(self, hub, value):
        if hub.refuse > 0:
            hub.refuse -= 1
            status, headers = hub.refuse_with
            self.reply(status, {"title": "not now"}, headers)
            return
        with hub.lock:
            hub.posts += 1
            for s in value["answers"]:
                hub.answers.setdefault(s["id"], {})[s["modified"]] = s
        if hub.forget_ack > 0:
            hub.forget_ack -= 1
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.reply(200, {"accepted": len(value["answers"]), "known": 0})

    def stream(self, hub):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        with hub.lock:
            seen = len(hub.events)
            hub.streams += 1
        self.wfile.write(b"event: hello\ndata: {\"seq\":1}\n\n")
        self.wfile.flush()
        generation = hub.generation
        while hub.running and hub.generation == generation:
            with hub.news:
                hub.news.wait(0.2)
                events = hub.events[seen:]
            for e in events:
                seen += 1
                self.wfile.write(
                    f"id: {e['seq']}\nevent: object\ndata: {json.dumps(e)}\n\n"
                    .encode())
            self.wfile.flush()
        self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_):
        pass  # a peer that went away is what these tests are about


class FakeHub:
    def __init__(self, folder):
        self.pem, self.key, self.pin = make_certificate(folder)
        self.space = uuid.UUID("00000000-0000-4000-8000-000000000001")
        self.lock = threading.Lock()
        self.news = threading.Condition()
        self.objects, self.events, self.requests = [], [], []
        self.answers = {}
        self.members = self.posts = self.streams = self.generation = 0
        self.page = 1000
        self.refuse = self.forget_ack = self.cut_pull = 0
        self.refuse_with = (503, ())
        self.port = 0
        self.start()

    def start(self):
        self.running = True
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.hub = self
        self.port = self.server.server_address[1]
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.pem, self.key)
        self.server.socket = tls.wrap_socket(
            self.server.socket, server_side=True,
            do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()

    def stop(self):
        """Network loss: nobody listens, streams end."""
        self.running = False
        self.generation += 1
        self.server.shutdown()
        self.server.server_close()

    def address(self):
        return (f"noroshi://127.0.0.1:{self.port}/?code=c0de&pin={self.pin}")

    def publish(self, objects):
        """All objects at once, as a report comes: one event for each."""
        with self.news:
            for o in objects:
                us = time.time_ns() // 1000
                added = time.strftime(
                    "%Y-%m-%dT%H:%M:%S", time.gmtime(us // 1000000)
                ) + f".{us % 1000000:06d}Z"
                while self.objects and added <= self.objects[-1][0]:
                    added = added[:-7] + f"{int(added[-7:-1]) + 1:06d}Z"
                self.objects.append((added, o))
                self.events.append({
                    "seq": us, "collection": COLLECTION, "type": o["type"],
                    "id": o["id"], "version": o["modified"], "added": added})
            self.news.notify_all()
