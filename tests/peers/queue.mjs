// A queue of npm on PostgreSQL, as the bench drives it: `node queue.mjs graphile-worker|pg-boss URL`.
//
// It answers each line `PRODUCERS MILLISECONDS` of standard input with `MESSAGES MEDIAN P99 TIME`, in nanoseconds: how long a
// producer waited until its message was durable, and how long it took until the last message was done. The worker is a process
// of its own, set up as the manual says for throughput.

import { fork } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";
import { PgBoss } from "pg-boss";

// As many as the bench has producers: the server syncs once for all that commit at the same moment.
const CONNECTIONS = 64;
const LIMIT_MS = 60_000;

const kinds = {
  "graphile-worker": {
    async produce(connectionString) {
      const pgPool = new pg.Pool({ connectionString, max: CONNECTIONS });
      pgPool.on("error", fail);
      const utils = await makeWorkerUtils({ pgPool });
      await utils.migrate();
      return { add: (id) => utils.addJob("work", { id }), left: "select 1 from graphile_worker._private_jobs limit 1" };
    },
    async work(connectionString) {
      const worker = {
        connectionString,
        maxPoolSize: 25,
        concurrentJobs: 24,
        pollInterval: 100,
        localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      };
      await run({ preset: { worker }, taskList: { work: async (payload) => payload.id } });
    },
  },
  "pg-boss": {
    async produce(connectionString) {
      const boss = new PgBoss({ connectionString, max: CONNECTIONS, supervise: false, schedule: false });
      boss.on("error", fail);
      await boss.start();
      await boss.createQueue("work", { notify: true });
      const left = "select 1 from pgboss.job where name = 'work' and state < 'completed' limit 1";
      return { add: (id) => boss.send("work", { id }), left };
    },
    async work(connectionString) {
      const boss = new PgBoss({ connectionString, max: 25, useListenNotify: true });
      boss.on("error", fail);
      await boss.start();
      const options = {
        batchSize: 100,
        localConcurrency: 4,
        burstWhenBatchFull: true,
        pollingIntervalSeconds: 0.5,
        notifyPollingIntervalSeconds: 0.5,
      };
      await boss.work("work", options, async (jobs) => jobs.length);
    },
  },
};

function fail(error) {
  console.error(error);
  process.exit(1);
}

async function drive(name, url) {
  const { add, left } = await kinds[name].produce(url);
  const worker = fork(import.meta.filename, [name, url, "work"], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  worker.on("exit", () => process.exit(1));
  await once(worker, "message");
  const looks = new pg.Client(url);
  await looks.connect();
  console.log("ready");
  let id = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const [producers, milliseconds] = line.split(" ").map(Number);
    const waits = [];
    const began = performance.now();
    const produce = async () => {
      for (let now = performance.now(); now < began + milliseconds; ) {
        await add(id++);
        const durable = performance.now();
        waits.push(durable - now);
        now = durable;
      }
    };
    await Promise.all(Array.from({ length: producers }, produce));
    while ((await looks.query(left)).rowCount > 0) {
      if (performance.now() > began + LIMIT_MS) fail(new Error("the messages are not done"));
      await sleep(5);
    }
    const took = performance.now() - began;
    waits.sort((a, b) => a - b);
    const at = (part) => waits[Math.floor((waits.length * part) / 100)] ?? 0;
    console.log([waits.length, ...[at(50), at(99), took].map((ms) => Math.round(ms * 1e6))].join(" "));
  }
  worker.kill("SIGKILL");
  process.exit(0);
}

const [name, url, work] = process.argv.slice(2);
if (work) {
  process.on("disconnect", () => process.exit(0));
  await kinds[name].work(url);
  process.send("ready");
} else {
  await drive(name, url);
}
