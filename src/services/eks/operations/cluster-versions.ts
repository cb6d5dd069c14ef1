import type { ClusterVersionInformation, DescribeClusterVersionsRequest, DescribeClusterVersionsResponse } from "@aws-sdk/client-eks";
import { operation } from "../room.ts";
import { CLUSTER_VERSION, PATCH_VERSION, PLATFORM_VERSION, SUPPORT } from "../versions.ts";

/** The versions that CreateCluster takes. */
export const describeClusterVersions = operation<DescribeClusterVersionsRequest, DescribeClusterVersionsResponse>({
  name: "DescribeClusterVersions",
  members: {
    clusterType: "used",
    maxResults: { ignored: "there is one version" },
    nextToken: { ignored: "there is one version" },
    defaultOnly: { ignored: "the one version is the default" },
    includeAll: { ignored: "there is one version" },
    clusterVersions: "used",
    status: "used",
    versionStatus: "used",
  },
  handle({ clusterType = "eks", clusterVersions = [], status, versionStatus }, { nowMs }) {
    const information = informationAt(nowMs);
    const wanted =
      clusterType === "eks" &&
      (clusterVersions.length === 0 || clusterVersions.includes(CLUSTER_VERSION)) &&
      (status === undefined || status === information.status) &&
      (versionStatus === undefined || versionStatus === information.versionStatus);
    return Promise.resolve({ clusterVersions: wanted ? [information] : [] });
  },
});

function informationAt(nowMs: number): ClusterVersionInformation {
  const inStandard = nowMs < SUPPORT.standardEndsAtMs;
  return {
    clusterVersion: CLUSTER_VERSION,
    clusterType: "eks",
    defaultPlatformVersion: PLATFORM_VERSION,
    defaultVersion: true,
    releaseDate: new Date(SUPPORT.releasedAtMs),
    endOfStandardSupportDate: new Date(SUPPORT.standardEndsAtMs),
    endOfExtendedSupportDate: new Date(SUPPORT.extendedEndsAtMs),
    status: inStandard ? "standard-support" : "extended-support",
    versionStatus: inStandard ? "STANDARD_SUPPORT" : "EXTENDED_SUPPORT",
    kubernetesPatchVersion: PATCH_VERSION,
  };
}
