import type { NetworkStatus } from "../contracts/engine.ts";
import { addressAt } from "./cidr.ts";
import { privateDnsName } from "./plan-dns.ts";
import type { EniRecord, SubnetRecord } from "./records.ts";

/** What others see of an interface in its subnet. Pure. */
export function networkStatus(eni: EniRecord, subnet: SubnetRecord): NetworkStatus {
  return {
    attachmentId: eni.attachmentId,
    eniId: eni.eniId,
    macAddress: eni.macAddress,
    privateIpv4: eni.privateIpv4,
    privateDnsName: privateDnsName(eni.privateIpv4, eni.region),
    subnetId: eni.subnetId,
    vpcId: eni.vpcId,
    subnetCidr: subnet.cidr,
    gatewayIpv4: addressAt(subnet.cidr, 1),
  };
}
