"""The official Python SDK's client: three ways to negotiate, over HTTP and stdio."""

import asyncio
import os
import traceback

from mcp import Client, MCPError, StdioServerParameters

from python_common import BINARY, CONFIG, LAMP, TOOLS, URL, case, done, fail, hanging, holds, same

ERAS = {"legacy": "2025-11-25", "auto": "2026-07-28", "2026-07-28": "2026-07-28"}


def server(transport):
    if transport == "http":
        return URL
    arguments = ["serve", CONFIG, "--stdio"]
    return StdioServerParameters(command=BINARY, args=arguments, env=dict(os.environ))


def text(result):
    return "\n".join(part.text for part in result.content if part.type == "text")


async def suite(client, label):
    async def protocol():
        same(client.protocol_version, ERAS[label.split()[1]])

    async def lists():
        tools = (await client.list_tools()).tools
        same([tool.name for tool in tools], TOOLS)
        get_item = tools[0]
        same(get_item.input_schema["required"], ["id"])
        same(get_item.input_schema["additionalProperties"], False)
        same(get_item.output_schema["required"], ["id", "name", "price"])
        same(get_item.annotations.read_only_hint, True)

    async def structured():
        result = await client.call_tool("get_item", {"id": 1})
        same(result.is_error, False)
        same(result.structured_content, LAMP)
        holds(text(result), '"lamp"')

    async def wrapped():
        result = await client.call_tool("list_colours")
        same(result.structured_content, {"result": [{"name": "red"}, {"name": "green"}, {"name": "blue"}]})

    async def default():
        same((await client.call_tool("add", {"a": 41})).structured_content, {"sum": 42})

    async def parts():
        result = await client.call_tool("picture", {})
        same([part.type for part in result.content], ["text", "image", "resource", "resource_link"])
        same(result.content[2].resource.text, "a red dot")

    async def invalid():
        result = await client.call_tool("get_item", {"id": "one"})
        same(result.is_error, True)
        holds(text(result), "id")
        holds(text(result), "integer")

    async def missing():
        result = await client.call_tool("get_item", {})
        same(result.is_error, True)
        holds(text(result), "id")

    async def extra():
        result = await client.call_tool("get_item", {"id": 1, "colour": "red"})
        same(result.is_error, True)
        holds(text(result), "colour")

    async def unknown():
        try:
            await client.call_tool("no_such_tool", {})
        except MCPError as error:
            same(error.error.code, -32602)
            holds(error.error.message, "no_such_tool")
        else:
            raise AssertionError("an unknown tool must be a protocol error")

    async def upstream_error():
        result = await client.call_tool("broken")
        same(result.is_error, True)
        holds(text(result), "500")
        holds(text(result), "the warehouse is on fire")

    async def upstream_not_found():
        result = await client.call_tool("get_item", {"id": 7})
        same(result.is_error, True)
        holds(text(result), "no item 7")

    async def refused():
        result = await client.call_tool("refused")
        same(result.is_error, True)
        holds(text(result), "closed on sundays")

    async def progress():
        reports = []

        async def report(done, total, message):
            reports.append(done)

        result = await client.call_tool("steps", {}, progress_callback=report)
        same(result.is_error, False)
        assert len(reports) >= 2 and reports == sorted(reports), reports

    async def cancelled():
        call_id = "python-mcp-" + label.replace(" ", "-")
        call = asyncio.create_task(client.call_tool("wait", {"id": call_id}))
        same(await hanging(call_id, "entered"), True)
        call.cancel()
        same(await hanging(call_id, "left"), True)
        # The connection outlives the call.
        same((await client.call_tool("add", {"a": 1})).structured_content, {"sum": 2})

    for name, test in {
        "speaks the expected revision": protocol,
        "lists the tools in order, with schemas and hints": lists,
        "a result is structured and text": structured,
        "a result that is no object is wrapped": wrapped,
        "an optional argument has its default": default,
        "content has parts of every kind": parts,
        "a wrong type is a tool error that says what to mend": invalid,
        "a missing argument is a tool error": missing,
        "an argument too many is a tool error": extra,
        "an unknown tool is a protocol error": unknown,
        "an upstream error is a tool error with status and body": upstream_error,
        "an upstream 404 is a tool error with its body": upstream_not_found,
        "a business no is a tool error with its words": refused,
        "progress is reported, in order": progress,
        "a cancelled call frees the upstream request": cancelled,
    }.items():
        await case(f"{label}: {name}", test)


async def main():
    for transport in ["http", "stdio"]:
        for mode in ERAS:
            label = f"{transport} {mode}"
            try:
                async with Client(server(transport), mode=mode) as client:
                    await suite(client, label)
            except Exception:
                fail(f"{label}: connects and disconnects", traceback.format_exc())


asyncio.run(main())
done()
