import { expect, it } from "vitest";
import type { VpcEndpoint } from "../contracts/network.ts";
import { silentLogger } from "../core/logger.ts";
import { serveVpcs } from "./serve-vpcs.ts";

function endpoint(vpcId: string, hostAddress: string): VpcEndpoint {
  return { vpcId, hostAddress, apiPort: 1, metadataPort: 2, kubeletPort: 3, apiUrl: "" };
}

/** VPCs that come and go, and what is served of them. */
function world(first: readonly VpcEndpoint[]) {
  let told: (endpoints: readonly VpcEndpoint[]) => void = () => {};
  const events: string[] = [];
  let refused: string | undefined;
  const network = {
    endpoints: async () => first,
    watchEndpoints(listener: (endpoints: readonly VpcEndpoint[]) => void) {
      told = listener;
      return { [Symbol.dispose]() {} };
    },
  };
  const open = async ({ vpcId }: VpcEndpoint): Promise<AsyncDisposable> => {
    if (vpcId === refused) throw new Error("the port is taken");
    events.push(`opens ${vpcId}`);
    return {
      async [Symbol.asyncDispose]() {
        events.push(`closes ${vpcId}`);
        await new Promise((resolve) => setImmediate(resolve));
        events.push(`has closed ${vpcId}`);
      },
    };
  };
  return {
    events,
    refuse: (vpcId?: string) => void (refused = vpcId),
    start: () => serveVpcs({ network, open, logger: silentLogger }),
    async tell(...endpoints: readonly VpcEndpoint[]): Promise<void> {
      told(endpoints);
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

const [a, b] = [endpoint("a", "169.254.172.1"), endpoint("b", "169.254.172.5")];

it("serves what is there, what comes, each once, and no more what is gone", async () => {
  const vpcs = world([a]);
  await vpcs.start();
  await vpcs.tell(a, b);
  await vpcs.tell(a, b);
  expect(vpcs.events.splice(0)).toEqual(["opens a", "opens b"]);
  await vpcs.tell(b);
  await vpcs.tell(b);
  expect(vpcs.events).toEqual(["closes a", "has closed a"]);
});

it("serves a VPC that gets the address of one that goes, once that is free", async () => {
  const vpcs = world([a]);
  await vpcs.start();
  await vpcs.tell(endpoint("c", a.hostAddress));
  expect(vpcs.events).toEqual(["opens a", "closes a", "has closed a", "opens c"]);
});

it("tries one that could not be served again when it is told of the next time; at the start it is an error", async () => {
  const vpcs = world([a]);
  vpcs.refuse("a");
  await expect(vpcs.start()).rejects.toThrow("the port is taken");
  vpcs.refuse();
  await vpcs.start();
  vpcs.refuse("b");
  await vpcs.tell(a, b);
  vpcs.refuse();
  await vpcs.tell(a, b);
  expect(vpcs.events).toEqual(["opens a", "opens b"]);
});
