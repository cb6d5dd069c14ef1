import type { VpcEndpoint } from "../contracts/network.ts";
import type { Logger } from "../core/logger.ts";

export interface ServeVpcs {
  readonly network: {
    endpoints(): Promise<readonly VpcEndpoint[]>;
    watchEndpoints(listener: (endpoints: readonly VpcEndpoint[]) => void): Disposable;
  };
  /** Listens where the containers of a VPC reach Tidegate; dispose the answer to stop. */
  readonly open: (endpoint: VpcEndpoint) => Promise<AsyncDisposable>;
  readonly logger: Logger;
}

/**
 * Serves each VPC for as long as it is in use: those there are when it resolves, others as they come. Dispose the answer to look no more.
 * @throws what `open` throws for one of those that are there.
 */
export async function serveVpcs({ network, open, logger }: ServeVpcs): Promise<Disposable> {
  /** By VPC. */
  const served = new Map<string, { readonly endpoint: VpcEndpoint; readonly opening: Promise<AsyncDisposable> }>();
  /** By host address, which another VPC may get. */
  const closing = new Map<string, Promise<void>>();

  const serve = async (endpoint: VpcEndpoint): Promise<void> => {
    if (served.has(endpoint.vpcId)) return;
    const opening = Promise.resolve(closing.get(endpoint.hostAddress)).then(() => open(endpoint));
    served.set(endpoint.vpcId, { endpoint, opening });
    try {
      await opening;
    } catch (error) {
      served.delete(endpoint.vpcId);
      throw error;
    }
  };
  const leave = async ({ vpcId, hostAddress }: VpcEndpoint, opening: Promise<AsyncDisposable>): Promise<void> => {
    // One that could not be opened has been told of.
    const opened = await opening.catch(() => undefined);
    try {
      await opened?.[Symbol.asyncDispose]();
    } catch (error) {
      logger.warn("a VPC that is gone is served still", { vpcId, err: error });
    }
    closing.delete(hostAddress);
  };

  await Promise.all((await network.endpoints()).map(serve));
  return network.watchEndpoints((endpoints) => {
    for (const [vpcId, { endpoint, opening }] of Array.from(served)) {
      if (endpoints.some((each) => each.vpcId === vpcId)) continue;
      served.delete(vpcId);
      closing.set(endpoint.hostAddress, leave(endpoint, opening));
    }
    for (const endpoint of endpoints) {
      serve(endpoint).catch((error: unknown) => logger.error("cannot serve a VPC's endpoint", { vpcId: endpoint.vpcId, err: error }));
    }
  });
}
