// The official TypeScript client, version 2: both eras, over HTTP and stdio.

import assert from 'node:assert/strict';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { binary, capabilities, config, done, group, groupSuite, model, suite, test, url, user } from './node_common.mjs';

const eras = [
  ['legacy', 'legacy', '2025-11-25'],
  ['auto', 'auto', '2026-07-28'],
  ['pinned', { pin: '2026-07-28' }, '2026-07-28'],
];

for (const transport of ['http', 'stdio']) {
  for (const [name, mode, revision] of eras) {
    const label = `node client ${transport} ${name}`;
    const connected = async (path, words) => {
      const client = new Client({ name: 'renkei-tests', version: '1' }, { capabilities, versionNegotiation: { mode } });
      client.setRequestHandler('elicitation/create', user);
      client.setRequestHandler('sampling/createMessage', model);
      const args = ['serve', config, '--stdio', ...words];
      await client.connect(
        transport === 'http'
          ? new StreamableHTTPClientTransport(new URL(url + path))
          : new StdioClientTransport({ command: binary, args, env: { ...process.env } }),
      );
      return client;
    };
    let client;
    await test(`${label}: connects with the expected revision`, async () => {
      client = await connected('', []);
      assert.equal(client.getNegotiatedProtocolVersion(), revision);
    });
    await suite(label, client, (params, options) => client.callTool(params, options));
    await test(`${label}: closes`, () => client.close());
    await test(`${label}: connects to a group`, async () => {
      client = await connected(`/${group}`, ['--group', group]);
    });
    await groupSuite(label, client, (params) => client.callTool(params));
    await test(`${label}: closes a group`, () => client.close());
  }
}
done();
