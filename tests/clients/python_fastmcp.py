"""FastMCP's client, over HTTP and stdio, in both eras."""

import asyncio
import os
import traceback

from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

from mcp.types import PromptReference

from python_common import (
    BINARY, CONFIG, GROUP, GROUP_TOOLS, LAMP, READ, RESOURCES, TEMPLATES, TOOLS, URL, case, done, fail, hanging, holds, same,
)

ERAS = {"legacy": "2025-11-25", "auto": "2026-07-28"}


def server(transport, group=None):
    if transport == "http":
        return f"{URL}/{group}" if group else URL
    arguments = ["serve", CONFIG, "--stdio"] + (["--group", group] if group else [])
    return StdioTransport(BINARY, arguments, env=dict(os.environ), keep_alive=False)


async def user(message, response_type, params, context):
    """Orders no bombs."""
    if "bomb" in message:
        return ElicitResult(action="decline")
    return {"count": 3, "colour": "green"}


async def model(messages, params, context):
    said = messages[0].content
    said = said[0] if isinstance(said, list) else said
    return said.text + " Oh!"


async def refusal(client, tool, arguments):
    try:
        await client.call_tool(tool, arguments)
    except ToolError as error:
        return str(error)
    raise AssertionError(f"{tool} must be refused")


async def suite(client, label):
    async def protocol():
        same(client.protocol_version, ERAS[label.split()[1]])

    async def lists():
        same([tool.name for tool in await client.list_tools()], TOOLS)

    async def structured():
        result = await client.call_tool("get_item", {"id": 1})
        same(result.structured_content, LAMP)

    async def typed():
        # FastMCP builds a type from the output schema; a result that does not fit would be refused.
        result = await client.call_tool("get_item", {"id": 1})
        same((result.data.name, result.data.price), ("lamp", 12.5))

    async def invalid():
        holds(await refusal(client, "get_item", {"id": "one"}), "integer")

    async def upstream_error():
        message = await refusal(client, "broken", {})
        holds(message, "500")
        holds(message, "the warehouse is on fire")

    async def unknown():
        try:
            await client.call_tool("no_such_tool", {})
        except Exception as error:
            holds(str(error), "no_such_tool")
        else:
            raise AssertionError("an unknown tool must be refused")

    async def asked():
        result = await client.call_tool("order", {"item": "lamp"})
        same(result.structured_content, {"count": 3, "colour": "green", "praise": "Praise the lamp. Oh!"})

    async def declined():
        holds(await refusal(client, "order", {"item": "bomb"}), "the user said no")

    async def progress():
        reports = []

        async def report(done, total, message):
            reports.append(done)

        await client.call_tool("steps", {}, progress_handler=report)
        assert len(reports) >= 2 and reports == sorted(reports), reports

    async def cancelled():
        call_id = "fastmcp-" + label.replace(" ", "-")
        call = asyncio.create_task(client.call_tool("wait", {"id": call_id}))
        same(await hanging(call_id, "entered"), True)
        call.cancel()
        same(await hanging(call_id, "left"), True)

    async def resources():
        same([str(resource.uri) for resource in await client.list_resources()], RESOURCES)
        same([template.uri_template for template in await client.list_resource_templates()], TEMPLATES)
        for uri, kind, content in READ:
            [part] = await client.read_resource(uri)
            same((part.mime_type, part.text if hasattr(part, "text") else part.blob), (kind, content))

    async def prompts():
        same([prompt.name for prompt in await client.list_prompts()], ["describe_item"])
        # FastMCP sends every argument as a text.
        messages = (await client.get_prompt("describe_item", {"id": 1, "tone": "playful"})).messages
        same(messages[0].content.text, "Write a playful text about the lamp.")
        prompt = PromptReference(type="ref/prompt", name="describe_item")
        same((await client.complete(prompt, {"name": "id", "value": "1"})).values, ["1", "12"])

    for name, test in {
        "speaks the expected revision": protocol,
        "lists the tools in order": lists,
        "a result is structured": structured,
        "a result fits the type made of its schema": typed,
        "a wrong type is a tool error": invalid,
        "an upstream error is a tool error with status and body": upstream_error,
        "an unknown tool is refused by name": unknown,
        "its user and its model are asked": asked,
        "a no of its user ends the call": declined,
        "progress is reported, in order": progress,
        "lists and reads resources": resources,
        "fills in and completes prompts": prompts,
        "a cancelled call frees the upstream request": cancelled,
    }.items():
        await case(f"{label}: {name}", test)


async def group_suite(client, label):
    async def lists_and_calls():
        same([tool.name for tool in await client.list_tools()], GROUP_TOOLS)
        same((await client.call_tool("add", {"a": 41})).structured_content, {"sum": 42})

    async def elsewhere():
        try:
            await client.call_tool("list_colours")
        except Exception as error:
            holds(str(error), "unknown tool `list_colours`")
        else:
            raise AssertionError("what is not in the group must not exist")

    await case(f"{label}: a group lists what is in it, and it works", lists_and_calls)
    await case(f"{label}: what is not in the group does not exist", elsewhere)


async def main():
    for transport in ["http", "stdio"]:
        for mode in ERAS:
            label = f"{transport} {mode}"
            try:
                async with Client(server(transport), mode=mode, elicitation_handler=user, sampling_handler=model) as client:
                    await suite(client, label)
                async with Client(server(transport, GROUP), mode=mode) as client:
                    await group_suite(client, label)
            except Exception:
                fail(f"{label}: connects and disconnects", traceback.format_exc())


asyncio.run(main())
done()
