"""A small service that takes Braze Currents and passes each event on to
RudderStack. It keeps nothing on disk, so it answers 200 only when RudderStack
has accepted the events. Python 3.9, the standard library alone."""
import base64
import json
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def message(event):
    """A Braze event as a track call of RudderStack's HTTP API, or None where it names no user."""
    user = event.get("user") or {}
    if not user.get("external_user_id") and not user.get("user_id"):
        return None
    ids = {"userId": user.get("external_user_id"), "anonymousId": user.get("user_id")}
    return {
        "type": "track", "event": event["event_type"], "messageId": event["id"],
        "properties": event.get("properties") or {}, **{k: v for k, v in ids.items() if v},
    }


def start(port, token, rudder_url, write_key):
    """Returns a server on 127.0.0.1:port; call its serve_forever."""
    seen = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != "Bearer " + token:
                return self.answer(401, "wrong token")
            try:
                events = json.loads(body)["events"]
            except (ValueError, KeyError, TypeError) as err:
                return self.answer(400, f"not a batch: {err}")
            fresh = [e for e in events if e["id"] not in seen]
            messages = [m for m in map(message, fresh) if m]
            try:
                if messages:
                    self.forward(messages)
            except (urllib.error.URLError, OSError) as err:
                return self.answer(503, f"RudderStack is away: {err}")  # Braze sends it again
            seen.update(e["id"] for e in fresh)
            return self.answer(200, f"{len(fresh)} accepted")

        def forward(self, messages):
            key = base64.b64encode(f"{write_key}:".encode()).decode()
            request = urllib.request.Request(
                rudder_url + "/v1/batch", json.dumps({"batch": messages}).encode(),
                {"Content-Type": "application/json", "Authorization": "Basic " + key})
            with urllib.request.urlopen(request, timeout=30) as response:
                response.read()

        def answer(self, status, text):
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
