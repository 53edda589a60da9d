// The official TypeScript client, version 2: both eras, over HTTP and stdio.

import assert from 'node:assert/strict';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { binary, config, done, suite, test, url } from './node_common.mjs';

const eras = [
  ['legacy', 'legacy', '2025-11-25'],
  ['auto', 'auto', '2026-07-28'],
  ['pinned', { pin: '2026-07-28' }, '2026-07-28'],
];

for (const transport of ['http', 'stdio']) {
  for (const [name, mode, revision] of eras) {
    const label = `node client ${transport} ${name}`;
    const client = new Client({ name: 'renkei-tests', version: '1' }, { versionNegotiation: { mode } });
    await test(`${label}: connects with the expected revision`, async () => {
      await client.connect(
        transport === 'http'
          ? new StreamableHTTPClientTransport(new URL(url))
          : new StdioClientTransport({ command: binary, args: ['serve', config, '--stdio'], env: { ...process.env } }),
      );
      assert.equal(client.getNegotiatedProtocolVersion(), revision);
    });
    await suite(label, client, (params, options) => client.callTool(params, options));
    await test(`${label}: closes`, () => client.close());
  }
}
done();
