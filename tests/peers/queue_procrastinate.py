"""procrastinate on PostgreSQL, as the bench drives it: `python queue_procrastinate.py URL`.

It answers each line `PRODUCERS MILLISECONDS` of standard input with `MESSAGES MEDIAN P99 TIME`, in nanoseconds: how long a
producer waited until its message was durable, and how long it took until the last message was done. The worker is a process
of its own.
"""

import asyncio
import logging
import sys
import time

import psycopg
from procrastinate import App, PsycopgConnector

# As many as the bench has producers: the server syncs once for all that commit at the same moment.
CONNECTIONS = 64
LIMIT_NS = 60_000_000_000
LEFT = "select 1 from procrastinate_jobs where status in ('todo', 'doing') limit 1"

# It warns that the app is in the main module; nobody imports it from elsewhere.
logging.getLogger("procrastinate").setLevel(logging.ERROR)
url = sys.argv[1]
app = App(connector=PsycopgConnector(conninfo=url, min_size=1, max_size=CONNECTIONS))


@app.task(name="work", queue="work")
async def work(id):
    return id


async def serve():
    async with app.open_async():
        print("ready", flush=True)
        await app.run_worker_async(
            queues=["work"], concurrency=CONNECTIONS, delete_jobs="successful", fetch_job_polling_interval=0.5
        )


async def measure(looks, producers, nanoseconds):
    waits = []
    began = time.perf_counter_ns()

    async def produce(number):
        now = time.perf_counter_ns()
        while now < began + nanoseconds:
            await work.defer_async(id=number)
            durable = time.perf_counter_ns()
            waits.append(durable - now)
            now = durable

    await asyncio.gather(*(produce(number) for number in range(producers)))
    while await (await looks.execute(LEFT)).fetchone():
        if time.perf_counter_ns() > began + LIMIT_NS:
            raise TimeoutError("the messages are not done")
        await asyncio.sleep(0.005)
    took = time.perf_counter_ns() - began
    waits.sort()
    at = [waits[len(waits) * part // 100] if waits else 0 for part in (50, 99)]
    print(len(waits), *at, took, flush=True)


async def drive():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = await asyncio.create_subprocess_exec(
            sys.executable, __file__, url, "work", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        try:
            await worker.stdout.readline()
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as looks:
                print("ready", flush=True)
                while line := await asyncio.to_thread(sys.stdin.readline):
                    producers, milliseconds = line.split()
                    await measure(looks, int(producers), int(milliseconds) * 1_000_000)
        finally:
            worker.kill()
            await worker.wait()


asyncio.run(serve() if len(sys.argv) > 2 else drive())
