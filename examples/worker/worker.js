// A worker without a port: takes one job after another, logs each, and on SIGTERM finishes the one in hand before it ends.
const pauseMs = Number(process.env.PAUSE_MS ?? 1000);
const log = (fields) => console.log(JSON.stringify({ time: new Date().toISOString(), ...fields }));

const stopping = new AbortController();
process.once("SIGTERM", () => {
  log({ msg: "SIGTERM: finishing the job in hand" });
  stopping.abort();
});

const sleep = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
  });

async function work(job) {
  log({ msg: "started", job });
  await sleep(Math.min(200, pauseMs));
  log({ msg: "done", job });
}

log({ msg: "worker up", pauseMs });
for (let job = 1; !stopping.signal.aborted; job++) {
  await work(job);
  await sleep(pauseMs, stopping.signal);
}
log({ msg: "worker down" });
