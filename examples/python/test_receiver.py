"""Tests receiver.py with the fakes' programs: mockbraze sends, mockrudder judges.
Run it from this directory with both programs on the PATH, or with BIN=DIRECTORY:

    BIN=../../bin python3 -m unittest
"""
import json
import os
import re
import shutil
import subprocess
import threading
import unittest
import urllib.error
import urllib.request

import receiver


def program(name):
    path = os.path.join(os.environ["BIN"], name) if "BIN" in os.environ else shutil.which(name)
    if not path or not os.path.exists(path):
        raise SystemExit(f"{name} is missing: build it with `make build` and set BIN, or put it on the PATH")
    return path


def serve(name, *args):
    """Starts a program on a free port; returns the process and its URL."""
    process = subprocess.Popen([program(name), "serve", "--listen", "127.0.0.1:0", *args],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if url := re.search(r"http://127\.0\.0\.1:\d+", line):
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process, url[0]
    raise SystemExit(f"{name} did not start")


def call(method, url, body=None, headers=None):
    """Returns status and body; JSON where it is JSON."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            status, text = response.status, response.read()
    except urllib.error.HTTPError as err:
        status, text = err.code, err.read()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text.decode()


class ReceiverTest(unittest.TestCase):
    def setUp(self):
        self.rudder, self.rudder_url = serve("mockrudder", "--source", "wk=http")
        self.braze, self.braze_url = serve("mockbraze", "--seed", "7")
        self.service = receiver.start(0, "s3cret", self.rudder_url, "wk")
        self.url = f"http://127.0.0.1:{self.service.server_port}/currents"
        threading.Thread(target=self.service.serve_forever, daemon=True).start()

    def tearDown(self):
        self.service.shutdown()
        self.service.server_close()
        for process in (self.braze, self.rudder):
            process.terminate()
            process.wait()
            process.stdout.close()

    def current(self, *types):
        """Makes and launches a Current; returns its path in the API."""
        status, made = call("POST", self.braze_url + "/api/currents", {
            "kind": "http", "integration_name": "example", "contact_email": "a@example.com",
            "url": self.url, "token": "s3cret", "events": list(types)})
        self.assertLess(status, 300, made)
        path = f"{self.braze_url}/api/currents/{made['id']}"
        status, answer = call("POST", path + "/launch")
        self.assertLess(status, 300, answer)
        return path

    def arrived(self, **query):
        text = "&".join(f"{k}={v}" for k, v in query.items())
        return call("GET", f"{self.rudder_url}/_mock/events?{text}")[1]

    def post(self, body):
        return call("POST", self.url, body, {"Authorization": "Bearer s3cret"})[0]

    def test_events_arrive(self):
        call("POST", self.current("users.messages.email.*") + "/send?events=200")
        answer = self.arrived(count=200, wait="30s", valid="true")
        self.assertTrue(answer["satisfied"], answer.get("instead"))

    def test_outage(self):
        path = self.current("users.messages.email.Open")
        call("PUT", self.rudder_url + "/_mock/faults", [{"status": 503, "requests": 3}])
        call("POST", path + "/send?events=100")
        answer = self.arrived(count=100, wait="60s")
        self.assertTrue(answer["satisfied"], answer.get("instead"))

    def test_invalid_payload(self):
        for body in (b"hello", b'{"events":[{"id":"1"', b"[]"):
            self.assertEqual(self.post(body), 400)
        self.assertEqual(self.arrived()["total"], 0)

    def test_duplicates(self):
        body = {"events": [{"id": "e1", "event_type": "users.messages.email.Open",
                            "user": {"external_user_id": "u1"}, "properties": {}}]}
        self.assertEqual([self.post(body), self.post(body)], [200, 200])
        self.assertEqual(self.arrived(messageId="e1")["total"], 1)


if __name__ == "__main__":
    unittest.main()
