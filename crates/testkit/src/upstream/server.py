"""An MCP server written by hand, for tests: over standard input and output, or streamable HTTP (`--http PORT`).

What happens is told to the test as lines of JSON over TCP (`--journal PORT`). Words after the options say how the
server is: `legacy`, `modern`, `strict` (ends at a first word that it does not know), `mute` (no answer to such a word),
`sse` (every answer of HTTP is a stream), `broken` (a stream ends before its answer, and goes on when it is taken up
again), `dead` (ends at once), `late` (never says hello), `slips` (its list cannot be read once after it has grown).
"""

import base64
import json
import os
import queue
import select
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODERN, LEGACY = "2026-07-28", "2025-11-25"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
MODES = set()
FOLDER = os.environ.get("UPSTREAM_FOLDER", ".")
LOCK = threading.RLock()
journal = None


def tell(event, **more):
    if journal is not None:
        line = json.dumps({"pid": os.getpid(), "event": event, **more}) + "\n"
        with LOCK:
            journal.sendall(line.encode())


class Fault(Exception):
    def __init__(self, code, message, data=None):
        self.code, self.message, self.data = code, message, data


class ToolError(Exception):
    pass


# Items, in a file that outlives the process.


def items(change=None):
    path = os.path.join(FOLDER, "items.json")
    with LOCK:
        known = json.load(open(path)) if os.path.exists(path) else {}
        if change is not None:
            known[str(change["id"])] = {key: change.get(key) for key in ("id", "text", "number", "note")}
            with open(path + ".new", "w") as file:
                json.dump(known, file)
            os.replace(path + ".new", path)
        return known


def text(value):
    return {"content": [{"type": "text", "text": value}]}


def structured(value):
    return {"content": [{"type": "text", "text": json.dumps(value)}], "structuredContent": value}


def call(name, arguments, peer):
    tell("call", tool=name, arguments=arguments)
    if name == "echo":
        return structured(arguments)
    if name == "say":
        return text(arguments.get("text", ""))
    if name == "parts":
        data = base64.b64encode(b"\x89PNG").decode()
        return {"content": [{"type": "text", "text": "a picture"}, {"type": "image", "data": data, "mimeType": "image/png"}]}
    if name == "picture":
        data = base64.b64encode(b"\x89PNG").decode()
        return {"content": [{"type": "image", "data": data, "mimeType": "image/png"}]}
    if name == "get":
        found = items().get(str(arguments["id"]))
        if found is None:
            raise ToolError(f"item {arguments['id']} was not found")
        return structured(found)
    if name == "put":
        items(arguments)
        return structured({"done": True})
    if name == "create":
        with LOCK:
            if str(arguments["id"]) in items():
                raise ToolError(f"item {arguments['id']} is there already")
            items(arguments)
        return structured({"done": True})
    if name == "list":
        return {"content": [{"type": "text", "text": json.dumps([items()[key] for key in sorted(items(), key=int)])}]}
    if name == "fail":
        raise ToolError(arguments.get("text", "it did not work"))
    if name == "fault":
        raise Fault(arguments["code"], "refused by the server")
    if name == "tell_environment":
        return structured({"environment": sorted(os.environ), "folder": os.getcwd()})
    if name == "tell_secret":
        raise ToolError("what you sent makes no sense: " + os.environ.get("SECRET", "") + peer.credentials())
    if name == "ask_client":
        return structured(peer.ask(arguments["method"]))
    if name == "steps":
        for done in range(1, 4):
            peer.say({"jsonrpc": "2.0", "method": "notifications/progress",
                      "params": {"progressToken": peer.token, "progress": done, "total": 4, "message": f"step {done}"}})
        return text("three steps")
    if name == "slow":
        tell("slow started")
        peer.hang()
        return None
    if name == "freeze":
        tell("frozen")
        while True:
            time.sleep(1000)
    if name == "die":
        print("the disk is gone", file=sys.stderr, flush=True)
        os._exit(3)
    if name == "half":
        sys.stdout.write('{"jsonrpc":"2.0","id":1,"resu')
        sys.stdout.flush()
        os._exit(4)
    if name == "close":
        os.close(1)
        tell("closed")
        time.sleep(1000)
    if name == "flood":
        for _ in range(arguments["lines"]):
            sys.stderr.write("x" * 1000 + "\n")
        sys.stderr.write("y" * 1_000_000 + "\n")
        return text("flooded")
    if name == "garbage":
        for line in ["not json", "{", "[1, 2]", "\x00\xff", '{"id": 99999, "result": {}}', '{"id": "x", "result": {}}', "{}", "null"]:
            peer.raw(line)
        return text("clean")
    if name == "huge":
        return text("x" * arguments["bytes"])
    if name == "huge_line":
        peer.raw("x" * arguments["bytes"])
        return text("after it")
    if name == "forked":
        child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
        tell("forked", child=child.pid)
        return structured({"pid": child.pid})
    if name == "grow":
        with LOCK:
            number = sum(tool["name"].startswith("extra") for tool in TOOLS) + 1
            TOOLS.append({"name": f"extra_{number}", "inputSchema": {"type": "object"}})
        peer.changed()
        for listener in list(LISTENERS):
            listener.put(CHANGED)
        return text("grown")
    if name.startswith("extra"):
        return text(name)
    if name == "forget":
        with LOCK:
            SESSIONS.clear()
        return text("all sessions are forgotten")
    if name == "wants_input":
        return {"resultType": "input_required", "inputRequests": {}}
    raise Fault(-32602, f"there is no tool {name}")


TOOLS = [
    {"name": "echo", "description": "Gives back its arguments.",
     "inputSchema": {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}},
    {"name": "say", "description": "Gives back a text.", "inputSchema": {"type": "object"}},
    {"name": "parts", "inputSchema": {"type": "object"}},
    {"name": "fail", "inputSchema": {"type": "object"}},
    {"name": "grow", "description": "One more tool.", "inputSchema": {"type": "object"}},
]
SESSIONS = set()
# Those who want to hear of changes, over HTTP.
LISTENERS = []
CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"


def listed(params):
    if "badlist" in MODES:
        raise Fault(-32000, "the list is lost")
    if "slips" in MODES and len(TOOLS) > 5:
        MODES.discard("slips")
        raise Fault(-32000, "the list is lost, once")
    if "pages" not in MODES:
        return {"tools": TOOLS}
    at = int(params.get("cursor") or 0)
    page = {"tools": TOOLS[at:at + 1]}
    return page if at + 1 >= len(TOOLS) else {**page, "nextCursor": str(at + 1)}


def answer(message, peer):
    """The answer to a request; nothing for one that has none."""
    method, params = message["method"], message.get("params") or {}
    peer.token = (params.get("_meta") or {}).get("progressToken")
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    try:
        if method == "initialize" and "modern" not in MODES:
            if "late" in MODES:
                tell("late")
                return None
            tell("initialize")
            result = {"protocolVersion": LEGACY, "capabilities": {"tools": {"listChanged": True}}, "serverInfo": {"name": "upstream", "version": "1"}}
        elif method == "server/discover" and "legacy" not in MODES and "strict" not in MODES and "mute" not in MODES:
            check_meta(params)
            tell("discover")
            result = {"supportedVersions": [MODERN], "capabilities": {"tools": {"listChanged": True}}, "ttlMs": 0, "cacheScope": "public"}
        elif method == "ping":
            result = {}
        elif method == "tools/list":
            result = {**listed(params), "ttlMs": 0, "cacheScope": "public"}
        elif method == "subscriptions/listen" and not peer.is_legacy and "legacy" not in MODES and "deaf" not in MODES:
            about = {"_meta": {"io.modelcontextprotocol/subscriptionId": message["id"]}}
            peer.listen({"jsonrpc": "2.0", "method": ACKNOWLEDGED, "params": {**about, "notifications": {"toolsListChanged": True}}})
            return None
        elif method == "tools/call":
            if "legacy" not in MODES and not peer.is_legacy:
                check_meta(params)
            try:
                result = call(params["name"], params.get("arguments") or {}, peer)
                if result is None:
                    return None
            except ToolError as error:
                result = {"content": [{"type": "text", "text": str(error)}], "isError": True}
        elif "strict" in MODES and not peer.is_legacy:
            print(f"expected initialize, got {method}", file=sys.stderr, flush=True)
            os._exit(1)
        elif "mute" in MODES and not peer.is_legacy:
            return None
        else:
            raise Fault(-32601, f"there is no method {method}")
        if not peer.is_legacy and method != "initialize":
            result.setdefault("resultType", "complete")
        if method == "initialize":
            peer.is_legacy = True
        return {**reply, "result": result}
    except Fault as fault:
        error = {"code": fault.code, "message": fault.message}
        if fault.data is not None:
            error["data"] = fault.data
        return {**reply, "error": error}


def check_meta(params):
    version = (params.get("_meta") or {}).get(VERSION_KEY)
    if version is None:
        raise Fault(-32602, "the request does not say which version it speaks")
    if version != MODERN:
        raise Fault(-32022, "no such version", {"supported": [MODERN], "requested": version})


class Pipe:
    """Over standard input and output."""

    def __init__(self):
        self.is_legacy = False
        self.is_heard = False
        self.token = None

    def credentials(self):
        return ""

    def listen(self, acknowledgement):
        self.is_heard = True
        self.say(acknowledgement)
        tell("listening to changes")

    def changed(self):
        if self.is_legacy or self.is_heard:
            self.say(CHANGED)

    def raw(self, line):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def say(self, message):
        self.raw(json.dumps(message))

    def ask(self, method):
        self.say({"jsonrpc": "2.0", "id": "own-1", "method": method})
        for line in sys.stdin:
            message = json.loads(line)
            if message.get("id") == "own-1":
                return {key: message[key] for key in ("result", "error") if key in message}

    def hang(self):
        pass

    def run(self):
        for line in sys.stdin:
            message = json.loads(line)
            if "method" not in message:
                continue
            if "id" not in message:
                tell(message["method"], params=message.get("params"))
                continue
            reply = answer(message, self)
            if reply is not None:
                self.say(reply)
        tell("input closed")


class Handler(BaseHTTPRequestHandler):
    """Over streamable HTTP."""

    protocol_version = "HTTP/1.1"
    waiting = {}

    def log_message(self, *_):
        pass

    def credentials(self):
        return json.dumps(dict(self.headers))

    def raw(self, line):
        self.event(line)

    def event(self, data, number=None):
        if not self.is_streaming:
            self.is_streaming = True
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
        number = f"id: {number}\n" if number is not None else ""
        self.wfile.write(f"{number}data: {data}\n\n".encode())
        self.wfile.flush()

    def say(self, message):
        self.event(json.dumps(message))

    def ask(self, method):
        arrived = threading.Event()
        Handler.waiting["own-1"] = (arrived, [])
        self.say({"jsonrpc": "2.0", "id": "own-1", "method": method})
        arrived.wait(20)
        message = Handler.waiting.pop("own-1")[1][0]
        return {key: message[key] for key in ("result", "error") if key in message}

    def hang(self):
        """Until the client goes away."""
        while True:
            readable, _, _ = select.select([self.connection], [], [], 20)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                tell("abandoned")
                return

    def changed(self):
        pass

    def listen(self, acknowledgement):
        """Tells of changes until the client goes away."""
        changes = queue.Queue()
        LISTENERS.append(changes)
        self.say(acknowledgement)
        tell("listening to changes")
        while True:
            try:
                self.say(changes.get(timeout=0.1))
            except queue.Empty:
                pass
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                LISTENERS.remove(changes)
                return

    def reply(self, status, message=None, headers=()):
        body = b"" if message is None else json.dumps(message).encode()
        self.send_response(status)
        if message is not None:
            self.send_header("Content-Type", "application/json")
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self):
        SESSIONS.discard(self.headers.get("Mcp-Session-Id"))
        tell("session ended")
        self.reply(204)

    def do_GET(self):
        last = self.headers.get("Last-Event-ID")
        if last is None and "deaf" in MODES:
            return self.reply(405)
        if last is None:
            self.is_streaming, self.close_connection = False, True
            return self.listen({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "hello"}})
        tell("resumed", last=last)
        self.is_streaming, self.close_connection = False, True
        self.event(json.dumps(Handler.kept), 2)

    def do_POST(self):
        self.is_streaming = False
        message = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        session = self.headers.get("Mcp-Session-Id")
        method, number = message.get("method"), message.get("id")
        params = message.get("params") or {}
        self.is_legacy = VERSION_KEY not in (params.get("_meta") or {})
        if os.environ.get("TOKEN") and self.headers.get("Authorization") != "Bearer " + os.environ["TOKEN"]:
            return self.reply(401)
        if method is None:
            arrived, answers = Handler.waiting[number]
            answers.append(message)
            arrived.set()
            return self.reply(202)
        if number is None:
            tell(method, params=params)
            return self.reply(202)
        if self.is_legacy and method != "initialize" and "modern" not in MODES and session not in SESSIONS:
            tell("unknown session")
            return self.reply(404)
        if "legacy" in MODES and not self.is_legacy:
            return self.reply(400, {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "Bad Request: Server not initialized"}})
        if not self.is_legacy and self.differs(method, params):
            error = {"code": -32020, "message": "headers differ from the body"}
            return self.reply(400, {"jsonrpc": "2.0", "id": number, "error": error})
        was_legacy = self.is_legacy
        reply = answer(message, self)
        headers = []
        if method == "initialize" and was_legacy and reply is not None and "result" in reply:
            session = os.urandom(8).hex()
            SESSIONS.add(session)
            headers.append(("Mcp-Session-Id", session))
        if reply is None:
            self.close_connection = True
            return
        if "broken" in MODES and method == "tools/call":
            Handler.kept = reply
            self.close_connection = True
            self.event("", 1)
            return
        if self.is_streaming or "sse" in MODES and not headers:
            self.close_connection = True
            return self.say(reply)
        self.reply(404 if reply.get("error", {}).get("code") == -32601 else 200, reply, headers)

    def differs(self, method, params):
        tell("headers", **{name.lower(): value for name, value in self.headers.items() if name.lower().startswith("mcp-")})
        if self.headers.get("MCP-Protocol-Version") != MODERN or self.headers.get("Mcp-Method") != method:
            return True
        if method != "tools/call":
            return False
        region = (params.get("arguments") or {}).get("region")
        wanted = region if params["name"] == "echo" and isinstance(region, str) else None
        return self.headers.get("Mcp-Name") != params["name"] or self.headers.get("Mcp-Param-Region") != wanted


def main(words):
    global journal
    port = None
    while words and words[0].startswith("--"):
        option, value, words = words[0], int(words[1]), words[2:]
        if option == "--journal":
            journal = socket.create_connection(("127.0.0.1", value))
        else:
            port = value
    MODES.update(words)
    tell("started", words=words)
    if "dead" in MODES or os.path.exists(os.path.join(FOLDER, "down")):
        print("cannot start today", file=sys.stderr, flush=True)
        os._exit(1)
    if port is None:
        Pipe().run()
    else:
        ThreadingHTTPServer.allow_reuse_address = True
        ThreadingHTTPServer.daemon_threads = True
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        tell("listening", port=server.server_address[1])
        server.serve_forever()


main(sys.argv[1:])
