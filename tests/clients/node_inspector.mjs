// The official inspector, headless: it lints the schemas, and speaks whichever era its flags name.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { binary, config, done, lamp, resources, test, tools, upstream, url } from './node_common.mjs';

const manifest = createRequire(import.meta.url).resolve('@modelcontextprotocol/inspector/package.json');
const bin = createRequire(import.meta.url)(manifest).bin;
const program = join(dirname(manifest), typeof bin === 'string' ? bin : Object.values(bin)[0]);

const targets = {
  http: ['--transport', 'http', '--server-url', url],
  stdio: ['--transport', 'stdio', '-e', `UPSTREAM=${upstream}`, '--', binary, 'serve', config, '--stdio'],
};
const eras = ['legacy', 'modern'];

/** Runs it once; its exit code, standard output and standard error. */
function inspect(target, words) {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, '--cli', ...words, ...target], { timeout: 25_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr }),
    );
  });
}

for (const [transport, target] of Object.entries(targets)) {
  for (const era of eras) {
    const label = `inspector ${transport} ${era}`;
    const run = (...words) => inspect(target, ['--protocol-era', era, ...words]);
    await test(`${label}: tools/list --strict is clean`, async () => {
      const { code, stdout, stderr } = await run('--method', 'tools/list', '--strict');
      assert.equal(code, 0, stderr);
      assert.deepEqual(JSON.parse(stdout).tools.map((tool) => tool.name), tools);
      assert.doesNotMatch(stderr, /^\s*(Error|Warning): tool/m);
    });
    await test(`${label}: calls a tool`, async () => {
      const { code, stdout, stderr } = await run('--method', 'tools/call', '--tool-name', 'get_item', '--tool-arg', 'id=1');
      assert.equal(code, 0, stderr);
      assert.deepEqual(JSON.parse(stdout).structuredContent, lamp);
    });
    await test(`${label}: shows a tool error`, async () => {
      const { stdout } = await run('--method', 'tools/call', '--tool-name', 'broken');
      assert.equal(JSON.parse(stdout).isError, true);
    });
    await test(`${label}: lists and reads resources, and fills in a prompt`, async () => {
      const listed = await run('--method', 'resources/list');
      assert.equal(listed.code, 0, listed.stderr);
      assert.deepEqual(JSON.parse(listed.stdout).resources.map((resource) => resource.uri), resources);
      const motto = await run('--method', 'resources/read', '--uri', 'shop://motto');
      assert.equal(motto.code, 0, motto.stderr);
      assert.equal(JSON.parse(motto.stdout).contents[0].text, 'A lamp for every desk.');
      const prompt = await run('--method', 'prompts/get', '--prompt-name', 'describe_item', '--prompt-args', 'id=1');
      assert.equal(prompt.code, 0, prompt.stderr);
      assert.equal(JSON.parse(prompt.stdout).messages[0].content.text, 'Write a plain text about the lamp.');
    });
  }
}
done();
