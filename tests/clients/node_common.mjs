// What the Node clients' tests share: TAP lines, the cases, and the stand-in's view of a hanging call.

import assert from 'node:assert/strict';

export const { RENKEI_URL: url, RENKEI_BINARY: binary, RENKEI_CONFIG: config, UPSTREAM: upstream } = process.env;
export const tools = ['get_item', 'list_colours', 'add', 'picture', 'refused', 'broken', 'steps', 'long_list', 'wait', 'order'];
// Of the group `small`, which has an endpoint of its own.
export const group = 'small';
export const groupTools = ['get_item', 'add'];
export const lamp = { id: 1, name: 'lamp', price: 12.5 };
export const resources = ['shop://motto', 'shop://dot', 'shop://colours/red', 'shop://colours/sea%20green'];
export const templates = ['shop://colours/{name}', 'shop://items/{id}'];
export const read = [
  ['shop://motto', 'text/plain', 'A lamp for every desk.'],
  ['shop://dot', 'image/png', 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=='],
  ['shop://colours/sea%20green', 'application/json', '{"name":"sea green","light":60}'],
];

// No single step may take longer; the stand-in itself waits at most ten seconds.
const LIMIT_MILLISECONDS = 30_000;

let count = 0;
let failed = 0;

export async function test(name, run) {
  count += 1;
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${LIMIT_MILLISECONDS} ms`)), LIMIT_MILLISECONDS);
  });
  try {
    await Promise.race([run(), limit]);
    console.log(`ok - ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok - ${name}`);
    for (const line of String(error.stack ?? error).split('\n').slice(0, 12)) console.log(`# ${line}`);
  } finally {
    clearTimeout(timer);
  }
}

export function done() {
  console.log(`1..${count}`);
  process.exitCode = failed ? 1 : 0;
}

/** Whether the hanging call has `entered` or `left` the stand-in; waits for it there. */
export async function hanging(id, what) {
  const reply = await fetch(`${upstream}/hang/${id}/${what}`);
  return (await reply.json())[what];
}

export function text(result) {
  return result.content.filter((part) => part.type === 'text').map((part) => part.text).join('\n');
}

// What the tests' user and model answer. The user orders no bombs.
export const capabilities = { elicitation: { form: {} }, sampling: {} };

export async function user({ params }) {
  if (params.message.includes('bomb')) return { action: 'decline' };
  assert.deepEqual(params.requestedSchema.properties.colour.oneOf[1], { const: 'green', title: 'Green' });
  return { action: 'accept', content: { count: 3, colour: 'green' } };
}

export async function model({ params }) {
  const { text } = [params.messages[0].content].flat()[0];
  return { role: 'assistant', model: 'tests', content: { type: 'text', text: `${text} Oh!` } };
}

/** The cases of a client that is connected to the group `small`. */
export async function groupSuite(label, client, call) {
  await test(`${label}: a group lists what is in it, and it works`, async () => {
    assert.deepEqual((await client.listTools()).tools.map((tool) => tool.name), groupTools);
    assert.deepEqual((await client.listResources()).resources.map((resource) => resource.name).length, 3);
    assert.deepEqual((await call({ name: 'add', arguments: { a: 41 } })).structuredContent, { sum: 42 });
  });
  await test(`${label}: what is not in the group does not exist`, async () => {
    await assert.rejects(call({ name: 'list_colours', arguments: {} }), (error) => error.code === -32602);
    await assert.rejects(client.readResource({ uri: 'shop://dot' }));
  });
}

/** The cases of one connected client. `call(params, options)` calls a tool. */
export async function suite(label, client, call) {
  await test(`${label}: lists the tools in order, with schemas and hints`, async () => {
    const listed = (await client.listTools()).tools;
    assert.deepEqual(listed.map((tool) => tool.name), tools);
    assert.deepEqual(listed[0].inputSchema.required, ['id']);
    assert.equal(listed[0].annotations.readOnlyHint, true);
  });
  await test(`${label}: a result is structured and text`, async () => {
    const result = await call({ name: 'get_item', arguments: { id: 1 } });
    assert.ok(!result.isError, text(result));
    assert.deepEqual(result.structuredContent, lamp);
    assert.deepEqual(JSON.parse(text(result)), lamp);
  });
  await test(`${label}: a result that is no object is wrapped`, async () => {
    const result = await call({ name: 'list_colours', arguments: {} });
    assert.deepEqual(result.structuredContent, { result: [{ name: 'red' }, { name: 'green' }, { name: 'blue' }] });
  });
  await test(`${label}: content has parts of every kind`, async () => {
    const result = await call({ name: 'picture', arguments: {} });
    assert.deepEqual(result.content.map((part) => part.type), ['text', 'image', 'resource', 'resource_link']);
  });
  await test(`${label}: a wrong type is a tool error that says what to mend`, async () => {
    const result = await call({ name: 'get_item', arguments: { id: 'one' } });
    assert.equal(result.isError, true);
    assert.match(text(result), /id/);
    assert.match(text(result), /integer/);
  });
  await test(`${label}: its user and its model are asked`, async () => {
    const result = await call({ name: 'order', arguments: { item: 'lamp' } });
    assert.deepEqual(result.structuredContent, { count: 3, colour: 'green', praise: 'Praise the lamp. Oh!' }, text(result));
  });
  await test(`${label}: a no of its user ends the call`, async () => {
    const result = await call({ name: 'order', arguments: { item: 'bomb' } });
    assert.equal(result.isError, true);
    assert.match(text(result), /the user said no/);
  });
  await test(`${label}: an unknown tool is a protocol error`, async () => {
    await assert.rejects(call({ name: 'no_such_tool', arguments: {} }), (error) => {
      assert.equal(error.code, -32602);
      assert.match(error.message, /no_such_tool/);
      return true;
    });
  });
  await test(`${label}: an upstream error is a tool error with status and body`, async () => {
    const result = await call({ name: 'broken', arguments: {} });
    assert.equal(result.isError, true);
    assert.match(text(result), /500/);
    assert.match(text(result), /the warehouse is on fire/);
  });
  await test(`${label}: a business no is a tool error with its words`, async () => {
    const result = await call({ name: 'refused', arguments: {} });
    assert.equal(result.isError, true);
    assert.match(text(result), /closed on sundays/);
  });
  await test(`${label}: progress is reported, in order`, async () => {
    const reports = [];
    await call({ name: 'steps', arguments: {} }, { onprogress: (report) => reports.push(report.progress) });
    assert.ok(reports.length >= 2, `reports: ${reports}`);
    assert.deepEqual(reports, reports.toSorted((a, b) => a - b));
  });
  await test(`${label}: lists and reads resources`, async () => {
    const listed = (await client.listResources()).resources;
    assert.deepEqual(listed.map((resource) => resource.uri), resources);
    const { resourceTemplates } = await client.listResourceTemplates();
    assert.deepEqual(resourceTemplates.map((template) => template.uriTemplate), templates);
    for (const [uri, mimeType, content] of read) {
      const [part] = (await client.readResource({ uri })).contents;
      assert.deepEqual([part.uri, part.mimeType, part.text ?? part.blob], [uri, mimeType, content]);
    }
    await assert.rejects(client.readResource({ uri: 'shop://colours/blue' }), (error) => {
      assert.ok([-32002, -32602].includes(error.code), String(error.code));
      return true;
    });
  });
  await test(`${label}: fills in and completes prompts`, async () => {
    const [prompt] = (await client.listPrompts()).prompts;
    assert.deepEqual(prompt.arguments.map(({ name, required }) => [name, required]), [['id', true], ['tone', false]]);
    const { messages } = await client.getPrompt({ name: 'describe_item', arguments: { id: '1', tone: 'playful' } });
    assert.deepEqual(messages.map((message) => message.role), ['user', 'user', 'assistant']);
    assert.equal(messages[0].content.text, 'Write a playful text about the lamp.');
    const ref = { type: 'ref/prompt', name: 'describe_item' };
    const { completion } = await client.complete({ ref, argument: { name: 'id', value: '1' } });
    assert.deepEqual(completion.values, ['1', '12']);
    const colour = { type: 'ref/resource', uri: templates[0] };
    const found = await client.complete({ ref: colour, argument: { name: 'name', value: 'r' } });
    assert.deepEqual(found.completion.values, ['red', 'rose']);
    await assert.rejects(client.getPrompt({ name: 'describe_item', arguments: {} }), (error) => {
      assert.equal(error.code, -32602);
      return true;
    });
  });
  await test(`${label}: a cancelled call frees the upstream request`, async () => {
    const id = label.replaceAll(/\W+/g, '-');
    const abort = new AbortController();
    const calling = call({ name: 'wait', arguments: { id } }, { signal: abort.signal });
    assert.equal(await hanging(id, 'entered'), true);
    abort.abort('no longer wanted');
    await assert.rejects(calling);
    assert.equal(await hanging(id, 'left'), true);
    // The connection outlives the call.
    const sum = await call({ name: 'add', arguments: { a: 1 } });
    assert.deepEqual(sum.structuredContent, { sum: 2 });
  });
}
