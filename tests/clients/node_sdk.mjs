// The official TypeScript SDK, version 1: what most clients in use are built with. It knows the legacy era only.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { binary, capabilities, config, done, group, groupSuite, model, suite, test, url, user } from './node_common.mjs';

for (const transport of ['http', 'stdio']) {
  const label = `node sdk ${transport}`;
  const connected = async (path, words) => {
    const client = new Client({ name: 'renkei-tests', version: '1' }, { capabilities });
    client.setRequestHandler(ElicitRequestSchema, user);
    client.setRequestHandler(CreateMessageRequestSchema, model);
    const args = ['serve', config, '--stdio', ...words];
    await client.connect(
      transport === 'http'
        ? new StreamableHTTPClientTransport(new URL(url + path))
        : new StdioClientTransport({ command: binary, args, env: { ...process.env } }),
    );
    return client;
  };
  let client;
  await test(`${label}: connects`, async () => {
    client = await connected('', []);
  });
  await suite(label, client, (params, options) => client.callTool(params, undefined, options));
  await test(`${label}: closes`, () => client.close());
  await test(`${label}: connects to a group`, async () => {
    client = await connected(`/${group}`, ['--group', group]);
  });
  await groupSuite(label, client, (params) => client.callTool(params));
  await test(`${label}: closes a group`, () => client.close());
}
done();
