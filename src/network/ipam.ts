/** Addresses of a subnet: which are free, and which comes next. */
import { formatIpv4, parseCidr, parseIpv4 } from "./cidr.ts";

/** AWS keeps a subnet's first four addresses and its last. */
export const RESERVED_LOW = 4;
export const RESERVED_HIGH = 1;

/** How many addresses a subnet can give out. */
export function usableAddresses(subnetCidr: string): number {
  return Math.max(0, parseCidr(subnetCidr).size - RESERVED_LOW - RESERVED_HIGH);
}

/**
 * The first free address after `after`, going round, so that an address that was given back is the last to come again.
 * `undefined` when the subnet is full. `used` may hold addresses of other subnets.
 */
export function nextFreeAddress(subnetCidr: string, used: ReadonlySet<string>, after: string | undefined): string | undefined {
  const { base } = parseCidr(subnetCidr);
  const count = usableAddresses(subnetCidr);
  const first = base + RESERVED_LOW;
  const start = after === undefined ? 0 : Math.max(0, (parseIpv4(after) ?? first) + 1 - first);
  for (let step = 0; step < count; step++) {
    const address = formatIpv4(first + ((start + step) % count));
    if (!used.has(address)) return address;
  }
  return undefined;
}
