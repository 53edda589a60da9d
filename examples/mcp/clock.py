"""A small MCP server over standard input and output: what time it is somewhere. It stands for a server of somebody else."""

import datetime
import json
import sys
import zoneinfo

TOOL = {
    "name": "get_time",
    "description": "The time in a time zone.",
    "inputSchema": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
}


def call(arguments):
    zone = arguments.get("zone", "")
    try:
        now = datetime.datetime.now(zoneinfo.ZoneInfo(zone))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return {"content": [{"type": "text", "text": f"there is no time zone {zone!r}"}], "isError": True}
    value = {"zone": zone, "time": now.strftime("%H:%M"), "offset": now.strftime("%z")}
    return {"content": [{"type": "text", "text": json.dumps(value)}], "structuredContent": value}


def answer(method, params):
    if method == "initialize":
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "clock", "version": "1"}}
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call" and params.get("name") == "get_time":
        return call(params.get("arguments") or {})
    return None


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        result = answer(message["method"], message.get("params") or {})
        reply = {"jsonrpc": "2.0", "id": message["id"]}
        reply |= {"result": result} if result is not None else {"error": {"code": -32601, "message": "no such method"}}
        print(json.dumps(reply), flush=True)
