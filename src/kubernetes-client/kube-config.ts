import type { KubeConfig } from "@kubernetes/client-node";

export interface ApiServerAccess {
  readonly name: string;
  /** It speaks HTTPS there. */
  readonly address: string;
  /** PEM. */
  readonly authority: string;
  /** Of the client, PEM. */
  readonly certificate: { readonly certificate: string; readonly key: string };
}

/** How a cluster's API server is reached. The library is loaded with the first cluster. */
export async function kubeConfig({ name, address, authority, certificate }: ApiServerAccess): Promise<KubeConfig> {
  const kubernetes = await import("@kubernetes/client-node");
  const config = new kubernetes.KubeConfig();
  config.loadFromClusterAndUser(
    { name, server: `https://${address}`, caData: base64(authority), skipTLSVerify: false },
    { name: "tidegate", certData: base64(certificate.certificate), keyData: base64(certificate.key) },
  );
  return config;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
