/** What an API server asks Tidegate. */
export type Question = "token-review" | "access-review";

/** Where an API server asks; the secret is the cluster's. */
export function questionPath(uid: string, secret: string, question: Question): string {
  return `/_tidegate/eks/${uid}/${secret}/${question}`;
}
