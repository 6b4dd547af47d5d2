"""Real servers on local ports that speak the providers' protocols and refuse what they refuse."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TELEGRAM_TOKEN = "123456789:AAEhBOweik9ai2o01kf-ab12cd34ef56gh78"
SLACK_TOKEN = "xoxb-123456789012-abcdefghijkl"
ROUTING_KEY = "R0123456789abcdefghijklmnopqrstu"


@dataclass
class Asked:
    """A request that came in."""

    path: str
    headers: dict[str, str]
    body: Any
    raw: bytes


@dataclass
class Said:
    """What to answer."""

    status: int
    body: object = ""
    headers: dict[str, str] = field(default_factory=dict)


class ProviderServer:
    """Answers by the provider's rules, unless an answer is prepared; those go first."""

    def __init__(self) -> None:
        self.prepared: list[Said] = []
        self.asked: list[Asked] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    body = json.loads(raw)
                except ValueError:
                    body = None
                asked = Asked(self.path, dict(self.headers), body, raw)
                owner.asked.append(asked)
                said = owner.prepared.pop(0) if owner.prepared else owner.judge(asked)
                text = said.body if isinstance(said.body, str) else json.dumps(said.body)
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text.encode())))
                with contextlib.suppress(ConnectionError):
                    self.end_headers()
                    self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def port(self) -> int:
        """Return where it listens."""
        return int(self._server.server_address[1])

    @property
    def base(self) -> str:
        """Return its address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Asked:
        """Return the newest request."""
        return self.asked[-1]

    def judge(self, asked: Asked) -> Said:
        """Return what the provider would answer."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class SlackServer(ProviderServer):
    """Incoming webhooks under /services/, and chat.postMessage under /api/."""

    channels = ("C0123456789", "#alerts", "U0123456789")

    def judge(self, asked: Asked) -> Said:
        """Answer as Slack does: a word for a webhook, an object for the interface."""
        if asked.path.startswith("/services/"):
            return self._webhook(asked)
        if asked.headers.get("Authorization") != f"Bearer {SLACK_TOKEN}":
            return Said(200, {"ok": False, "error": "invalid_auth"})
        if asked.body.get("channel") not in self.channels:
            return Said(200, {"ok": False, "error": "channel_not_found"})
        if not self._is_sound(asked.body):
            return Said(200, {"ok": False, "error": "invalid_blocks"})
        channel = asked.body["channel"]
        return Said(200, {"ok": True, "channel": channel, "ts": "1503435956.000247"})

    def _webhook(self, asked: Asked) -> Said:
        if asked.path != "/services/T01/B02/c3Cr3T":
            return Said(404, "no_service")
        if not isinstance(asked.body, dict) or not asked.body.get("text"):
            return Said(400, "no_text")
        return Said(200, "ok") if self._is_sound(asked.body) else Said(400, "invalid_blocks")

    def _is_sound(self, body: dict[str, Any]) -> bool:
        blocks = [block for part in body["attachments"] for block in part["blocks"]]
        texts = [block["text"]["text"] for block in blocks]
        return len(blocks) <= 50 and all(0 < len(text) <= 3_000 for text in texts)


class TelegramServer(ProviderServer):
    """The Bot API."""

    chats = ("-1001234567890", "@ops_alerts", "42")

    def judge(self, asked: Asked) -> Said:
        """Answer as the Bot API does."""
        if asked.path != f"/bot{TELEGRAM_TOKEN}/sendMessage":
            return self._no(401, "Unauthorized")
        body = asked.body
        if str(body.get("chat_id")) not in self.chats:
            return self._no(400, "Bad Request: chat not found")
        text = body.get("text", "")
        if body.get("parse_mode") == "HTML":
            tags = re.findall(r"<(/?)([a-z]+)[^>]*>", text)
            bare = re.sub(r"</?(?:b|a)(?: href=\"[^\"<>]*\")?>", "", text)
            if "<" in bare or any(name not in {"a", "b"} for _, name in tags):
                return self._no(400, "Bad Request: can't parse entities")
            text = re.sub(r"&(?:amp|lt|gt|quot);", "&", bare)
        if len(text.encode("utf-16-le")) // 2 > 4_096:
            return self._no(400, "Bad Request: message is too long")
        if not text.strip():
            return self._no(400, "Bad Request: message text is empty")
        result = {"message_id": 77, "chat": {"id": body["chat_id"]}, "text": "as sent"}
        return Said(200, {"ok": True, "result": result})

    def _no(self, code: int, words: str) -> Said:
        return Said(code, {"ok": False, "error_code": code, "description": words})


class PagerDutyServer(ProviderServer):
    """The Events API v2: alerts and change events."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, str] = {}

    def judge(self, asked: Asked) -> Said:
        """Answer as PagerDuty does, and keep which alerts are open."""
        body, errors = asked.body, []
        if body.get("routing_key") != ROUTING_KEY:
            errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
        payload = body.get("payload", {})
        if not 0 < len(payload.get("summary", "")) <= 1_024:
            errors.append("'payload.summary' is missing or blank")
        if len(asked.raw) > 512 * 1_024:
            return Said(413, "")
        if asked.path == "/v2/change/enqueue":
            return self._end(errors, {})
        if payload.get("severity") not in {"critical", "error", "warning", "info"}:
            errors.append("'payload.severity' is invalid")
        if not payload.get("source"):
            errors.append("'payload.source' is missing or blank")
        action, key = body.get("event_action"), body.get("dedup_key", "")
        if action not in {"trigger", "acknowledge", "resolve"} or len(key) > 255:
            errors.append("'event_action' is missing or blank")
        if not errors:
            self.open[key] = action
        return self._end(errors, {"dedup_key": key})

    def _end(self, errors: list[str], extra: dict[str, str]) -> Said:
        if errors:
            told = {"status": "invalid event", "message": "Event object is invalid"}
            return Said(400, {**told, "errors": errors})
        return Said(202, {"status": "success", "message": "Event processed", **extra})


class DiscordServer(ProviderServer):
    """Webhooks of channels."""

    path = "/api/webhooks/112233445566778899/aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789"

    def judge(self, asked: Asked) -> Said:
        """Answer as Discord does."""
        parts = urlsplit(asked.path)
        if parts.path != self.path:
            return Said(404, {"message": "Unknown Webhook", "code": 10015})
        embeds = asked.body.get("embeds", [])
        total = sum(len(e.get("title", "")) + len(e.get("description", "")) for e in embeds)
        long = any(
            len(e.get("title", "")) > 256 or len(e.get("description", "")) > 4_096 for e in embeds
        )
        if not embeds or long or total > 6_000 or len(embeds) > 10:
            return Said(400, {"message": "Invalid Form Body", "code": 50035})
        if parse_qs(parts.query).get("wait") == ["true"]:
            return Said(200, {"id": "998877", "type": 0, "content": ""})
        return Said(204)


class TeamsServer(ProviderServer):
    """A workflow that takes webhook requests."""

    path = "/workflows/0a1b/triggers/manual/paths/invoke?api-version=2016-06-01&sig=k4m2p9q8r7"

    def judge(self, asked: Asked) -> Said:
        """Answer as the workflow's front door does: it takes it, and says no more."""
        if asked.path != self.path:
            error = {"code": "DirectApiAuthorizationRequired", "message": "The request is not ok"}
            return Said(401, {"error": error})
        card = asked.body["attachments"][0]
        sound = card["contentType"] == "application/vnd.microsoft.card.adaptive"
        if asked.body["type"] != "message" or not sound or len(asked.raw) > 28 * 1_024:
            return Said(413, {"error": {"code": "RequestEntityTooLarge", "message": "Too large"}})
        return Said(202, "", {"x-ms-workflow-run-id": "0858-run"})


class NtfyServer(ProviderServer):
    """A server of ntfy with one protected topic."""

    protected = "secret-topic"
    token = "tk_abcdefghijklmnopqrstuvwxyz012"

    def judge(self, asked: Asked) -> Said:
        """Answer as ntfy does."""
        if asked.path != "/" or not isinstance(asked.body, dict):
            return self._no(400, 40017, "invalid request: request body must be message JSON")
        if len(asked.raw) > 2 * 4_096:
            return self._no(413, 41303, "JSON body too large")
        body = asked.body
        allowed = asked.headers.get("Authorization") == f"Bearer {self.token}"
        if body["topic"] == self.protected and not allowed:
            return self._no(403, 40301, "forbidden")
        if len(body["title"].encode()) > 1_024:
            return self._no(400, 40057, "invalid request: title too long")
        if not 1 <= body["priority"] <= 5 or len(body.get("actions", [])) > 3:
            return self._no(400, 40007, "invalid priority parameter")
        if len(body["message"].encode()) > 4_096:
            # It would become a file, which nobody reads on a phone.
            return self._no(413, 41301, "attachment too large, or bandwidth limit reached")
        told = {"id": "sPs71M8A2T", "time": 1, "event": "message", "topic": body["topic"]}
        return Said(200, told)

    def _no(self, status: int, code: int, words: str) -> Said:
        return Said(status, {"code": code, "http": status, "error": words})


class GotifyServer(ProviderServer):
    """What Apprise's gotify:// speaks to."""

    token = "AbcdefTOKEN12"

    def judge(self, asked: Asked) -> Said:
        """Answer as Gotify does."""
        if asked.headers.get("X-Gotify-Key") != self.token:
            return Said(401, {"error": "Unauthorized", "errorCode": 401})
        return Said(200, {"id": 1, "title": asked.body["title"]})
