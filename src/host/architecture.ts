/** This machine's architecture by the name that images, Kubernetes and its releases have for it: `amd64`, `arm64`. */
export function imageArchitecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}
