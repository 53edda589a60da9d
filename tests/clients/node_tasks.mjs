// The official library for tasks: calls that become tasks, over HTTP. It brings no transport of its own for them.

import assert from 'node:assert/strict';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createTaskSessionFromClient, resultFromTaskOutcome } from '@modelcontextprotocol/ext-tasks/client';
import { done, lamp, test, text, url } from './node_common.mjs';

const label = 'node ext-tasks';
const protocolVersion = '2026-07-28';
const clientInfo = { name: 'renkei-tests', version: '1' };
const clientCapabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} } };

/** One request, as the library frames it, and its answer. */
async function rawDispatch(request, options) {
  const { method, params } = request;
  const name = params?.name ?? params?.taskId ?? params?.uri;
  const response = await fetch(url, {
    method: 'POST',
    signal: options?.signal,
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': protocolVersion,
      'mcp-method': method,
      ...(name === undefined ? {} : { 'mcp-name': name }),
      ...options?.context?.headers,
    },
    body: JSON.stringify(request),
  });
  const body = await response.text();
  const line = body.split('\n').findLast((candidate) => candidate.includes('"jsonrpc"'));
  const message = JSON.parse(line.replace(/^data:/, ''));
  return message.error ? { kind: 'error', error: message.error } : { kind: 'result', result: message.result };
}

let client;
let session;
await test(`${label}: connects and sees that there are tasks`, async () => {
  client = new Client(clientInfo, { capabilities: clientCapabilities, versionNegotiation: { mode: { pin: protocolVersion } } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  session = createTaskSessionFromClient(client, {
    endpointId: 'renkei-tests',
    rawDispatch,
    v2RequestFraming: { protocolVersion, clientInfo, clientCapabilities },
  });
  assert.equal(session.capabilities.execution, true);
});
await test(`${label}: a tool without tasks answers at once`, async () => {
  const execution = await session.callTool('get_item', { id: 1 });
  assert.equal(execution.kind, 'immediate');
  const { outcome } = await execution.settle();
  assert.deepEqual(resultFromTaskOutcome(outcome).structuredContent, lamp);
});
await test(`${label}: a call becomes a task and ends with its result`, async () => {
  const execution = await session.callTool('long_item', { id: 1 });
  assert.equal(execution.kind, 'task');
  const { outcome } = await execution.settle();
  assert.equal(outcome.status, 'completed');
  assert.deepEqual(resultFromTaskOutcome(outcome).structuredContent, lamp);
});
await test(`${label}: a tool's own error is a result of a completed task`, async () => {
  const execution = await session.callTool('long_item', { id: 9 });
  const { outcome } = await execution.settle();
  assert.equal(outcome.status, 'completed');
  const result = resultFromTaskOutcome(outcome);
  assert.equal(result.isError, true);
  assert.match(text(result), /404/);
});
await test(`${label}: a task is taken up again by its reference`, async () => {
  const execution = await session.callTool('long_item', { id: 1 });
  const reference = execution.serializeReference();
  await execution.detach();
  const resumed = await session.resumeTask(reference);
  const { outcome } = await resumed.settle();
  assert.deepEqual(resultFromTaskOutcome(outcome).structuredContent, lamp);
});
await test(`${label}: a cancelled task frees its request`, async () => {
  const execution = await session.callTool('long_wait', { id: 'ext-tasks' });
  await session.cancelTask(execution.handle.taskId);
  const { outcome } = await execution.settle();
  assert.equal(outcome.status, 'cancelled');
});
await test(`${label}: closes`, async () => {
  await session.close();
  await client.close();
});
done();
