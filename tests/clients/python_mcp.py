"""The official Python SDK's client: three ways to negotiate, over HTTP and stdio."""

import asyncio
import json
import os
import traceback

from mcp import Client, MCPError, StdioServerParameters
from mcp.types import CreateMessageResult, ElicitResult, PromptReference, ResourceTemplateReference, TextContent

from python_common import (
    BINARY, CONFIG, GROUP, GROUP_RESOURCES, GROUP_TOOLS, LAMP, READ, RESOURCES, TEMPLATES, TOOLS, URL, case, done, fail, hanging, holds, same,
)

ERAS = {"legacy": "2025-11-25", "auto": "2026-07-28", "2026-07-28": "2026-07-28"}


def server(transport, group=None):
    if transport == "http":
        return f"{URL}/{group}" if group else URL
    arguments = ["serve", CONFIG, "--stdio"] + (["--group", group] if group else [])
    return StdioServerParameters(command=BINARY, args=arguments, env=dict(os.environ))


def text(result):
    return "\n".join(part.text for part in result.content if part.type == "text")


async def user(context, params):
    """Orders no bombs."""
    if "bomb" in params.message:
        return ElicitResult(action="decline")
    same(params.requested_schema["properties"]["colour"]["oneOf"][1], {"const": "green", "title": "Green"})
    return ElicitResult(action="accept", content={"count": 3, "colour": "green"})


async def model(context, params):
    said = params.messages[0].content
    said = said[0] if isinstance(said, list) else said
    return CreateMessageResult(role="assistant", model="tests", content=TextContent(type="text", text=said.text + " Oh!"))


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

    async def asked():
        result = await client.call_tool("order", {"item": "lamp"})
        same(result.structured_content, {"count": 3, "colour": "green", "praise": "Praise the lamp. Oh!"})

    async def declined():
        result = await client.call_tool("order", {"item": "bomb"})
        same(result.is_error, True)
        holds(text(result), "the user said no")

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

    async def resources():
        listed = (await client.list_resources()).resources
        same([resource.uri for resource in listed], RESOURCES)
        same(listed[0].annotations.priority, 0.8)
        same(listed[2].title, "The colour red")
        templates = (await client.list_resource_templates()).resource_templates
        same([template.uri_template for template in templates], TEMPLATES)

    async def reads():
        for uri, kind, content in READ:
            contents = (await client.read_resource(uri)).contents
            same([str(part.uri) for part in contents], [uri])
            same(contents[0].mime_type, kind)
            same(contents[0].text if hasattr(contents[0], "text") else contents[0].blob, content)

    async def unknown_resource():
        for uri in ["shop://nothing", "shop://colours/blue", "shop://items/7"]:
            try:
                await client.read_resource(uri)
            except MCPError as error:
                same(error.error.code, -32002 if client.protocol_version < "2026" else -32602)
            else:
                raise AssertionError(f"{uri} is not there")

    async def invalid_variable():
        try:
            await client.read_resource("shop://items/one")
        except MCPError as error:
            same(error.error.code, -32602)
            holds(error.error.message, "integer")
        else:
            raise AssertionError("`one` is no integer")

    async def in_parts():
        result = await client.call_tool("long_list")
        assert result.structured_content["truncated"]["of"] == 500, result.structured_content
        [link] = [part for part in result.content if part.type == "resource_link"]
        whole, uri = "", str(link.uri)
        while uri:
            [part] = (await client.read_resource(uri)).contents
            assert len(part.text) <= 2000
            whole, uri = whole + part.text, part.meta["renkei/next"]
        same(json.loads(whole), [{"i": i} for i in range(1, 501)])

    async def prompts():
        listed = (await client.list_prompts()).prompts
        same([prompt.name for prompt in listed], ["describe_item"])
        same([(a.name, a.required) for a in listed[0].arguments], [("id", True), ("tone", False)])
        messages = (await client.get_prompt("describe_item", {"id": "1"})).messages
        same([message.role for message in messages], ["user", "user", "assistant"])
        same(messages[0].content.text, "Write a plain text about the lamp.")
        same(messages[1].content.resource.uri, "shop://items/1")

    async def wrong_prompt():
        for name, arguments in [("nothing", {}), ("describe_item", {}), ("describe_item", {"id": "one"})]:
            try:
                await client.get_prompt(name, arguments)
            except MCPError as error:
                same(error.error.code, -32602)
            else:
                raise AssertionError(f"{name} {arguments} must be refused")

    async def completion():
        prompt = PromptReference(type="ref/prompt", name="describe_item")
        same((await client.complete(prompt, {"name": "id", "value": "1"})).completion.values, ["1", "12"])
        same((await client.complete(prompt, {"name": "tone", "value": ""})).completion.values, ["plain", "playful"])
        template = ResourceTemplateReference(type="ref/resource", uri=TEMPLATES[0])
        found = (await client.complete(template, {"name": "name", "value": "r"})).completion
        same((found.values, found.total, found.has_more), (["red", "rose"], 2, False))

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
        "its user and its model are asked": asked,
        "a no of its user ends the call": declined,
        "progress is reported, in order": progress,
        "lists resources and templates": resources,
        "reads texts, bytes and data": reads,
        "a resource that is not there is the era's error": unknown_resource,
        "a variable of the wrong type is refused with words": invalid_variable,
        "a result that is too large is read in parts": in_parts,
        "lists and fills in prompts": prompts,
        "a prompt without its arguments is refused": wrong_prompt,
        "completes arguments and variables": completion,
        "a cancelled call frees the upstream request": cancelled,
    }.items():
        await case(f"{label}: {name}", test)


async def group_suite(client, label):
    async def lists():
        same([tool.name for tool in (await client.list_tools()).tools], GROUP_TOOLS)
        same([resource.uri for resource in (await client.list_resources()).resources], GROUP_RESOURCES)
        # Only who asks at the start is told the name.
        if client.server_info is not None:
            same(client.server_info.title, "The small one")

    async def calls():
        same((await client.call_tool("add", {"a": 41})).structured_content, {"sum": 42})
        same((await client.read_resource("shop://motto")).contents[0].text, "A lamp for every desk.")

    async def elsewhere():
        for ask in [client.call_tool("list_colours"), client.read_resource("shop://dot"), client.get_prompt("describe_item")]:
            try:
                await ask
            except MCPError:
                continue
            raise AssertionError("what is not in the group must not exist")

    await case(f"{label}: a group lists what is in it", lists)
    await case(f"{label}: a group's tools and resources work", calls)
    await case(f"{label}: what is not in the group does not exist", elsewhere)


async def main():
    for transport in ["http", "stdio"]:
        for mode in ERAS:
            label = f"{transport} {mode}"
            try:
                async with Client(server(transport), mode=mode, elicitation_callback=user, sampling_callback=model) as client:
                    await suite(client, label)
                async with Client(server(transport, GROUP), mode=mode) as client:
                    await group_suite(client, label)
            except Exception:
                fail(f"{label}: connects and disconnects", traceback.format_exc())


asyncio.run(main())
done()
