/** Where in an input we are: names of members, positions in lists (from 0), keys of maps. Mutable, so that the good case costs nothing. */
export type Path = (string | number)[];

/** AWS's way of naming a place: first letters small, positions from 1 with the list's element name, e.g. `containerDefinitions.1.member.name`. */
export function showPath(path: Path): string {
  return path.map((step) => (typeof step === "number" ? `${step + 1}.member` : step.charAt(0).toLowerCase() + step.slice(1))).join(".");
}
