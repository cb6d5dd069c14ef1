import type { NetworkStatus } from "../contracts/engine.ts";

/** Which workload has which address now: how the metadata server knows a caller. */
export class AddressBook {
  readonly #byAddress = new Map<string, string>();
  readonly #byWorkload = new Map<string, string>();

  set(workloadId: string, network: Pick<NetworkStatus, "vpcId" | "privateIpv4">): void {
    const key = keyOf(network.vpcId, network.privateIpv4);
    this.#byAddress.set(key, workloadId);
    this.#byWorkload.set(workloadId, key);
  }

  delete(workloadId: string): void {
    const key = this.#byWorkload.get(workloadId);
    this.#byWorkload.delete(workloadId);
    if (key !== undefined && this.#byAddress.get(key) === workloadId) this.#byAddress.delete(key);
  }

  workloadAt(vpcId: string, address: string): string | undefined {
    return this.#byAddress.get(keyOf(vpcId, address));
  }
}

function keyOf(vpcId: string, address: string): string {
  return `${vpcId}/${address}`;
}
