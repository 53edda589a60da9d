"""Servers that nobody here wrote, behind Renkei: each of their tools gives through it what it gives directly.

The config is made here: a system for each server, and a tool with one call for each of its tools.
"""

import asyncio
import contextlib
import json
import os
import re
import socket
import sys
import tempfile

from mcp import Client, StdioServerParameters

from python_common import BINARY, case, done, holds, same

NODE, MODULES = os.environ["NODE"], os.environ["MODULES"]
ENVIRONMENT = {**os.environ, "SECRET_OF_RENKEI": "hidden"}
PNG = b"\x89PNG\r\n\x1a\n"


def program(package, *words):
    return NODE, [f"{MODULES}/@modelcontextprotocol/{package}/dist/index.js", *words]


class Server:
    """How a server is started, and what its tools are called with. `rough`: times in the answers differ."""

    def __init__(self, name, command, calls, environment=None, rough=()):
        self.name, self.command, self.calls = name, command, calls
        self.environment, self.rough = environment or {}, rough

    def parameters(self):
        command, args = self.command
        return StdioServerParameters(command=command, args=args, env={**os.environ, **self.environment})

    def system(self):
        command, args = self.command
        return {"mcp": {"command": command, "args": args, "env": self.environment}, "timeout": {"connect": "1m"}}


def everything(name):
    return Server(name, program("server-everything"), [
        ("echo", {"message": "hello"}),
        ("get-sum", {"a": 2, "b": 40}),
        ("get-sum", {"a": "two", "b": 40}),
        ("get-tiny-image", {}),
        ("get-annotated-message", {"messageType": "error", "includeImage": True}),
        ("get-resource-links", {"count": 2}),
        ("get-resource-reference", {"resourceType": "Text", "resourceId": 1}),
        ("get-resource-reference", {"resourceType": "Blob", "resourceId": 2}),
        ("get-structured-content", {"location": "Chicago"}),
        ("trigger-long-running-operation", {"duration": 1, "steps": 3}),
    ], rough=("get-resource-reference",))


def memory(name, folder):
    lamp = {"name": "lamp", "entityType": "thing", "observations": ["gives light"]}
    desk = {"name": "desk", "entityType": "thing", "observations": []}
    relation = {"from": "lamp", "to": "desk", "relationType": "stands on"}
    more = {"entityName": "lamp", "contents": ["is green"]}
    less = {"entityName": "lamp", "observations": ["gives light"]}
    return Server(name, program("server-memory"), [
        ("create_entities", {"entities": [lamp, desk]}),
        ("create_relations", {"relations": [relation]}),
        ("add_observations", {"observations": [more]}),
        ("add_observations", {"observations": [{"entityName": "nothing", "contents": ["x"]}]}),
        ("read_graph", {}),
        ("search_nodes", {"query": "green"}),
        ("open_nodes", {"names": ["desk"]}),
        ("delete_observations", {"deletions": [less]}),
        ("delete_relations", {"relations": [relation]}),
        ("delete_entities", {"entityNames": ["lamp"]}),
        ("read_graph", {}),
    ], {"MEMORY_FILE_PATH": f"{folder}/memory.jsonl"})


def filesystem(name, folder):
    at = lambda path: f"{folder}/{path}"
    with open(at("dot.png"), "wb") as file:
        file.write(PNG)
    return Server(name, program("server-filesystem", folder), [
        ("create_directory", {"path": at("notes")}),
        ("write_file", {"path": at("notes/a.txt"), "content": "one\ntwo\nthree\n"}),
        ("read_file", {"path": at("notes/a.txt")}),
        ("read_text_file", {"path": at("notes/a.txt"), "head": 1}),
        ("read_text_file", {"path": at("notes/none.txt")}),
        ("read_text_file", {"path": "/etc/hostname"}),
        ("read_media_file", {"path": at("dot.png")}),
        ("read_multiple_files", {"paths": [at("notes/a.txt"), at("none")]}),
        ("edit_file", {"path": at("notes/a.txt"), "edits": [{"oldText": "two", "newText": "2"}]}),
        ("list_directory", {"path": folder}),
        ("list_directory_with_sizes", {"path": folder, "sortBy": "size"}),
        ("directory_tree", {"path": folder}),
        ("move_file", {"source": at("notes/a.txt"), "destination": at("notes/b.txt")}),
        ("search_files", {"path": folder, "pattern": "**/*.txt"}),
        ("get_file_info", {"path": at("dot.png")}),
        ("list_allowed_directories", {}),
    ], rough=("get_file_info",))


def clock(name):
    return Server(name, (sys.executable, ["-m", "mcp_server_time", "--local-timezone", "UTC"]), [
        ("get_current_time", {"timezone": "Asia/Tokyo"}),
        ("get_current_time", {"timezone": "Mars/Base"}),
        ("convert_time", {"source_timezone": "Asia/Tokyo", "time": "09:30", "target_timezone": "UTC"}),
    ], rough=("get_current_time", "convert_time"))


def config(servers, more=()):
    tools = {}
    for server in servers:
        for tool in dict.fromkeys(tool for tool, _ in [*server.calls, *more]):
            call = {server.name: {"tool": tool, "arguments": "${.}"}}
            tools[f"{server.name}.{tool}"] = {
                "description": "One call.", "input_schema": {"type": "object", "additionalProperties": True}, "call": call,
            }
    return {"systems": {server.name: server.system() for server in servers}, "tools": tools}


def plain(part):
    return part.model_dump(by_alias=True, exclude_none=True, mode="json")


def expected(direct):
    """What Renkei makes of a result: its structure, and the only part where it has bytes."""
    if direct.structured_content is not None:
        return direct.structured_content
    if len(direct.content) > 1:
        return {"result": [plain(part) for part in direct.content]}
    [part] = direct.content
    if part.type == "text":
        return {"result": part.text}
    if part.type == "resource" and hasattr(part.resource, "text"):
        return {"result": part.resource.text}
    return None


def without(folder, value, rough):
    text = json.dumps(value, sort_keys=True).replace(folder, "FOLDER") if folder else json.dumps(value, sort_keys=True)
    # As values: one and 1.0 are the same number.
    return json.loads(re.sub(r"\d+(\.\d+)?", "0", text) if rough else text)


def texts(result):
    return "\n".join(part.text for part in result.content if part.type == "text")


async def compare(label, server, through, folders):
    """Calls each tool directly and through Renkei; `folders` are where the two work."""
    own, other = folders
    async with Client(server.parameters()) as direct:
        for number, (tool, arguments) in enumerate(server.calls):
            async def one():
                mine = await direct.call_tool(tool, arguments)
                theirs_arguments = json.loads(json.dumps(arguments).replace(own, other)) if own else arguments
                theirs = await through.call_tool(f"{server.name}.{tool}", theirs_arguments)
                rough = tool in server.rough
                same(theirs.is_error, mine.is_error)
                if mine.is_error:
                    said = texts(mine).replace(own, other) if own else texts(mine)
                    holds(texts(theirs), said.splitlines()[0][:60])
                    return
                wanted = expected(mine)
                if wanted is None:
                    same([plain(part) for part in theirs.content][0].get("mimeType"), plain(mine.content[0]).get("mimeType"))
                    return
                same(without(other, theirs.structured_content, rough), without(own, wanted, rough))

            await case(f"{label} {server.name} {number + 1} {tool}", one)


@contextlib.asynccontextmanager
async def renkei(document, era, transport="stdio"):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/renkei.yaml"
        with open(path, "w") as file:
            json.dump(document, file)
        server = StdioServerParameters(command=BINARY, args=["serve", path, "--stdio"], env=ENVIRONMENT)
        async with Client(server, mode=era) as client:
            yield client


async def ready(client, tool, arguments):
    """Programs need a while to start; until then their tools say so."""
    for _ in range(60):
        result = await client.call_tool(tool, arguments)
        if not (result.is_error and "not connected" in texts(result)):
            return result
        await asyncio.sleep(0.5)
    raise AssertionError(texts(result))


async def suite(era):
    with contextlib.ExitStack() as stack:
        own, other = (stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(2))
        own, other = os.path.realpath(own), os.path.realpath(other)
        direct = [everything("everything"), memory("memory", own), filesystem("folder", own), clock("clock")]
        behind = [everything("everything"), memory("memory", other), filesystem("folder", other), clock("clock")]
        document = config(behind)
        document["tools"]["environment"] = {"description": "d", "call": {"everything": "get-env"}}
        async with renkei(document, era) as through:
            for tool, arguments in [("everything.echo", {"message": "x"}), ("memory.read_graph", {}),
                                    ("folder.list_allowed_directories", {}), ("clock.get_current_time", {"timezone": "UTC"})]:
                await ready(through, tool, arguments)
            for server in direct:
                await compare(era, server, through, (own, other))

            async def environment():
                said = json.dumps((await through.call_tool("environment")).structured_content)
                holds(said, "PATH")
                assert "SECRET_OF_RENKEI" not in said, said

            await case(f"{era} a program gets no variable of Renkei's own", environment)

            async def progress():
                heard = []

                async def report(done, total, message):
                    heard.append(done)

                arguments = {"duration": 1, "steps": 4}
                await through.call_tool("everything.trigger-long-running-operation", arguments, progress_callback=report)
                # Called, each step, answered, judged.
                assert len(heard) > 4 and heard == sorted(heard), heard

            await case(f"{era} progress is passed on", progress)


def whole(result, folder, rough):
    """All that a result says."""
    parts = [plain(part) for part in result.content]
    return without(folder, {"parts": parts, "structure": result.structured_content, "error": result.is_error}, rough)


def schemas(tool):
    said = tool.model_dump(by_alias=True, exclude_none=True, mode="json")
    return {key: said.get(key) for key in ("description", "inputSchema", "outputSchema")}


async def exposed(era):
    """The tools of all servers as Renkei's own: nothing that they say or give is another than directly."""
    with contextlib.ExitStack() as stack:
        own, other = (os.path.realpath(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        direct = [everything("everything"), memory("memory", own), filesystem("folder", own), clock("clock")]
        behind = [everything("everything"), memory("memory", other), filesystem("folder", other), clock("clock")]
        document = {"systems": {server.name: server.system() for server in behind}}
        for system in document["systems"].values():
            system["mcp"]["expose"] = {"tools": True}
        document["systems"]["never"] = {"mcp": {"command": "no-such-program-here", "expose": {"tools": True}}}
        async with renkei(document, era) as through:
            prefixes = tuple(f"{server.name}_" for server in behind)
            for _ in range(120):
                listed = {tool.name: tool for tool in (await through.list_tools()).tools}
                if all(any(name.startswith(prefix) for name in listed) for prefix in prefixes):
                    break
                await asyncio.sleep(0.5)
            for server in direct:
                async with Client(server.parameters()) as client:
                    async def list_of_tools():
                        for tool in (await client.list_tools()).tools:
                            # What a server lists for some clients only, it may not list for Renkei.
                            if (found := listed.get(f"{server.name}_{tool.name}")) is not None:
                                same(schemas(found), schemas(tool))

                    await case(f"{era} {server.name} its list is passed on", list_of_tools)
                    for number, (tool, arguments) in enumerate(server.calls):
                        async def one():
                            mine = await client.call_tool(tool, arguments)
                            moved = json.loads(json.dumps(arguments).replace(own, other))
                            theirs = await through.call_tool(f"{server.name}_{tool}", moved)
                            # Renkei checks arguments itself, and says more of what is wrong with them.
                            if mine.is_error and "do not fit" in texts(theirs):
                                same(theirs.is_error, True)
                                return
                            rough = tool in server.rough
                            same(whole(theirs, other, rough), whole(mine, own, rough))

                        await case(f"{era} exposed {server.name} {number + 1} {tool}", one)


async def over_http(era):
    """The same server as a service of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command, args = program("server-everything", "streamableHttp")
    service = await asyncio.create_subprocess_exec(
        command, *args, env={**os.environ, "PORT": str(port)}, stdout=asyncio.subprocess.DEVNULL, stderr=sys.stderr)
    try:
        server = everything("everything")
        document = config([server])
        document["systems"] = {"everything": {"mcp": {"url": f"http://127.0.0.1:{port}/mcp", "private": True}}}
        async with renkei(document, era) as through:
            await ready(through, "everything.echo", {"message": "x"})
            await compare(f"{era} http", server, through, ("", ""))
    finally:
        service.terminate()
        await service.wait()


async def main():
    for era in ("legacy", "2026-07-28"):
        await suite(era)
        await exposed(era)
    await over_http("2026-07-28")
    done()


asyncio.run(main())
