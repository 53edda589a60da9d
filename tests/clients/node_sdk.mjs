// The official TypeScript SDK, version 1: what most clients in use are built with. It knows the legacy era only.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { binary, config, done, suite, test, url } from './node_common.mjs';

for (const transport of ['http', 'stdio']) {
  const label = `node sdk ${transport}`;
  const client = new Client({ name: 'renkei-tests', version: '1' });
  await test(`${label}: connects`, () =>
    client.connect(
      transport === 'http'
        ? new StreamableHTTPClientTransport(new URL(url))
        : new StdioClientTransport({ command: binary, args: ['serve', config, '--stdio'], env: { ...process.env } }),
    ),
  );
  await suite(label, client, (params, options) => client.callTool(params, undefined, options));
  await test(`${label}: closes`, () => client.close());
}
done();
