import type {
  AvailabilityZone,
  DescribeAccountAttributesRequest,
  DescribeAccountAttributesResult,
  DescribeAvailabilityZonesRequest,
  DescribeAvailabilityZonesResult,
  DescribeRegionsRequest,
  DescribeRegionsResult,
  Region,
} from "@aws-sdk/client-ec2";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { invalidValue } from "../errors.ts";
import type { FilterFields } from "../filters.ts";
import { applyFilters } from "../filters.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";

/** AWS's regions that need no opt-in. */
const REGIONS: readonly string[] = [
  ..."ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 eu-central-1 eu-north-1".split(" "),
  ..."eu-west-1 eu-west-2 eu-west-3 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2".split(" "),
];

const ZONE_FILTERS: FilterFields<AvailabilityZone> = {
  "group-name": (zone) => [zone.GroupName],
  message: () => [],
  "opt-in-status": (zone) => [zone.OptInStatus],
  "parent-zone-id": () => [],
  "parent-zone-name": () => [],
  "region-name": (zone) => [zone.RegionName],
  state: (zone) => [zone.State],
  "zone-id": (zone) => [zone.ZoneId],
  "zone-name": (zone) => [zone.ZoneName],
  "zone-type": (zone) => [zone.ZoneType],
};

/** Three zones a region. */
export const describeAvailabilityZones = ({ network }: Ec2Room): Operation<DescribeAvailabilityZonesRequest, DescribeAvailabilityZonesResult> =>
  ec2Operation({
    name: "DescribeAvailabilityZones",
    members: { ZoneNames: "used", ZoneIds: "used", AllAvailabilityZones: { ignored: "there are no zones that need an opt-in" }, Filters: "used" },
    async handle(input, { region }) {
      const zones: AvailabilityZone[] = network.zones(region).map((zone) => ({
        ZoneName: zone.name,
        ZoneId: zone.id,
        RegionName: region,
        GroupName: `${region}-zg-1`,
        NetworkBorderGroup: region,
        OptInStatus: "opt-in-not-required",
        State: "available",
        ZoneType: "availability-zone",
        Messages: [],
      }));
      const named = (names: readonly string[] | undefined, read: (zone: AvailabilityZone) => string | undefined): boolean[] => {
        const wrong = (names ?? []).filter((name) => !zones.some((zone) => read(zone) === name));
        if (wrong.length > 0) throw invalidValue(`Invalid availability zone: [${wrong.join(", ")}]`);
        return zones.map((zone) => names === undefined || names.length === 0 || names.includes(read(zone) ?? ""));
      };
      const byName = named(input.ZoneNames, (zone) => zone.ZoneName);
      const byId = named(input.ZoneIds, (zone) => zone.ZoneId);
      const chosen = zones.filter((_, index) => byName[index] && byId[index]);
      return { AvailabilityZones: [...applyFilters(chosen, input.Filters, ZONE_FILTERS)] };
    },
  });

const REGION_FILTERS: FilterFields<Region> = {
  endpoint: (region) => [region.Endpoint],
  "opt-in-status": (region) => [region.OptInStatus],
  "region-name": (region) => [region.RegionName],
};

/** AWS's usual regions, and the request's own whatever its name is. */
export const describeRegions = (): Operation<DescribeRegionsRequest, DescribeRegionsResult> =>
  ec2Operation({
    name: "DescribeRegions",
    members: { RegionNames: "used", Filters: "used", AllRegions: { ignored: "there are no regions that need an opt-in" } },
    async handle(input, context) {
      const names = [...new Set([...REGIONS, context.region])].sort();
      const wrong = (input.RegionNames ?? []).filter((name) => !names.includes(name));
      if (wrong.length > 0) throw invalidValue(`Invalid region names: [${wrong.join(", ")}]`);
      const wanted = (input.RegionNames ?? []).length === 0 ? names : names.filter((name) => input.RegionNames?.includes(name));
      const regions = wanted.map((name): Region => ({ RegionName: name, Endpoint: `ec2.${name}.amazonaws.com`, OptInStatus: "opt-in-not-required" }));
      return { Regions: [...applyFilters(regions, input.Filters, REGION_FILTERS)] };
    },
  });

/** `supported-platforms`, `default-vpc` and the limits that EC2 lists. */
export const describeAccountAttributes = ({ network }: Ec2Room): Operation<DescribeAccountAttributesRequest, DescribeAccountAttributesResult> =>
  ec2Operation({
    name: "DescribeAccountAttributes",
    members: { AttributeNames: "used" },
    async handle(input, context) {
      const vpc = await network.ensureDefaultVpc(context);
      const values: Readonly<Record<string, string>> = {
        "supported-platforms": "VPC",
        "default-vpc": vpc.vpcId,
        "max-instances": "0",
        "vpc-max-security-groups-per-interface": "5",
        "max-elastic-ips": "0",
        "vpc-max-elastic-ips": "0",
      };
      const names: readonly string[] = (input.AttributeNames ?? []).length === 0 ? Object.keys(values) : (input.AttributeNames ?? []);
      return {
        AccountAttributes: names.map((name) => {
          const value = values[name];
          if (value === undefined) throw new AwsError("InvalidParameterValue", `Value (${name}) for parameter attribute is invalid.`);
          return { AttributeName: name, AttributeValues: [{ AttributeValue: value }] };
        }),
      };
    },
  });
