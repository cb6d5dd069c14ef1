import { afterEach, expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { startSimulatedServer, type SimulatedServer } from "./testing.ts";

let server: SimulatedServer | undefined;
afterEach(async () => server?.[Symbol.asyncDispose]());

type Sample = readonly [series: string, value: number];

async function scrape(url: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const samples = text.split("\n").flatMap((line): Sample[] => {
    const at = line.lastIndexOf(" ");
    return line === "" || line.startsWith("#") ? [] : [[line.slice(0, at), Number(line.slice(at + 1))]];
  });
  return new Map(samples);
}

const WORKLOADS = "tidegate_workloads";

it("shows what the instance holds, and the number of series does not grow with it", async () => {
  const clock = new FakeClock();
  server = await startSimulatedServer(clock);
  const { ecs, url } = server;
  const common = await server.prepareWeb();
  // Each operation and each controller has its series from its first use on.
  await ecs("RunTask", common);
  await ecs("ListTasks", {});
  const running = async (count: number): Promise<ReadonlyMap<string, number>> => {
    await expect
      .poll(
        async () => {
          await clock.advance(1_000);
          return (await scrape(url)).get(`${WORKLOADS}{state="RUNNING"}`);
        },
        { timeout: 30_000, interval: 5 },
      )
      .toBe(count);
    return scrape(url);
  };
  const one = await running(1);
  expect(one.get("tidegate_memory_promised_bytes")).toBe(512 * 1024 * 1024);
  expect(one.get("tidegate_memory_promisable_bytes")).toBeGreaterThan(512 * 1024 * 1024);
  expect(one.get("tidegate_store_commit_duration_seconds_count")).toBeGreaterThan(3);
  expect(one.get("tidegate_disk_free_bytes")).toBeGreaterThan(0);
  expect(one.get("tidegate_disk_size_bytes")).toBeGreaterThan(one.get("tidegate_disk_free_bytes") ?? Infinity);
  expect(one.get("tidegate_log_collector_lag_bytes")).toBe(0);
  expect(one.get('tidegate_load_balancer_targets{state="healthy"}')).toBe(0);
  expect(one.get('tidegate_registry_objects{kind="repository"}')).toBe(0);
  expect(one.get('tidegate_controller_reconciles_total{controller="fargate-workload"}')).toBeGreaterThan(0);
  expect(one.has('tidegate_controller_keys{controller="loadbalancer-vpc",state="failing"}')).toBe(true);

  await ecs("RunTask", { ...common, count: 5 });
  const six = await running(6);
  expect(six.get("tidegate_memory_promised_bytes")).toBe(6 * 512 * 1024 * 1024);
  expect([...six.keys()].toSorted()).toEqual([...one.keys()].toSorted());
});
